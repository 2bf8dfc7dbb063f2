"""Generations on real stores: side by side, followed by readers, switched in spite of rivals and trouble."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from redis import Redis

from telefold.connectors import aws
from telefold.connectors.dynamodb import DynamoDbReader
from telefold.connectors.generations import GenerationStore
from telefold.connectors.redis_views import RedisReader
from telefold.deploy.local import servers
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import GenerationError, StoreRefused, StoreUnavailable
from telefold.schemas.generations import Generations
from telefold.schemas.view_rows import Value, ViewRow
from telefold.schemas.view_stores import ViewReader
from tests.support.generation_stores import CUT, FOLD, REBUILD, Place, Views, advance, begin, rows, write
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def dynamodb(dynamodb_endpoint: str) -> "Iterator[DynamoDBClient]":
    opened = aws.client("dynamodb", REGION, dynamodb_endpoint)
    yield opened
    opened.close()


@pytest.fixture(params=["dynamodb", "redis"])
def views(request: pytest.FixtureRequest, place: Place) -> Views:
    return place.views(request.param)


def test_where_none_were_ever_saved_there_is_the_first_alone(generations: GenerationStore) -> None:
    assert generations.load() == Generations()


def test_what_was_saved_is_loaded_by_another(generations: GenerationStore, place: Place) -> None:
    saved = advance(generations, *REBUILD, begin)
    other = place.generations()
    assert other.load() == saved
    assert saved == Generations().begin(CUT, FOLD).set_ready().switch().begin(CUT, FOLD)
    other.close()


def test_users_find_the_current_generation_in_its_place(
    generations: GenerationStore, place: Place, dynamodb: "DynamoDBClient", redis_client: "Redis"
) -> None:
    advance(generations, *REBUILD)
    key = {"pk": {"S": "telefold"}, "sk": {"S": "generations"}}
    item = dynamodb.get_item(TableName=place.table, Key=key)["Item"]
    assert item == key | {"generation": {"N": "2"}, "revision": {"N": "3"}}
    assert redis_client.get("tf:generation") == "2"


def test_the_pointer_stays_small_however_many_shards_a_cut_has(
    generations: GenerationStore, place: Place, dynamodb: "DynamoDBClient"
) -> None:
    """A read costs by the item's size, and each reader's call reads the pointer."""
    many = {f"shardId-{n:012}": "4960" + "7" * 52 for n in range(3_000)}
    assert advance(generations, lambda held: held.begin(many, FOLD)).cuts == {2: many}
    key = {"pk": {"S": "telefold"}, "sk": {"S": "generations"}}
    answer = dynamodb.get_item(TableName=place.table, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1


def test_listeners_hear_of_a_switch(generations: GenerationStore, redis_client: "Redis") -> None:
    with redis_client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("tf:generation")
        channel.get_message(timeout=PATIENCE_S)
        advance(generations, *REBUILD)
        heard = []
        while message := channel.get_message(timeout=0.2):
            heard.append(message["data"])
    assert heard[-1] == "2"


def test_generations_side_by_side_do_not_see_each_other(views: Views) -> None:
    for generation in (1, 2, 12):
        write(views, generation, rows(3, value=generation, version=20 - generation))
    for generation in (1, 2, 12):
        reader = views.reader(generation)
        assert reader.get("device#1", "latest#00001") == ViewRow("latest#00001", 20 - generation, {"value": generation})
        assert [row.data["value"] for row in reader.range("device#1")] == [generation]
        reader.close()
    assert views.reader(3).range("device#1") == []


def test_an_older_version_in_another_generation_is_not_stale(views: Views) -> None:
    write(views, 1, rows(1, version=9))
    writer = views.writer(2)
    assert writer.write(rows(1, version=1)).written == 1
    assert writer.write(rows(1, version=0)).stale == 1
    writer.close()


def test_readers_follow_a_switch_and_a_rollback_from_their_next_call_on(
    views: Views, generations: GenerationStore
) -> None:
    write(views, 1, rows(1, value=1))
    write(views, 2, rows(1, value=2))
    following, fixed = views.reader(None), views.reader(1)

    def seen(reader: ViewReader) -> set[Value]:
        row = reader.get("device#0", "latest#00000")
        assert row is not None
        return {row.data["value"], *(row.data["value"] for row in reader.range("device#0", "latest#"))}

    assert seen(following) == {1}
    for step in REBUILD[:-1]:
        advance(generations, step)
        assert seen(following) == {1}
    advance(generations, Generations.switch)
    assert (seen(following), seen(fixed)) == ({2}, {1})
    advance(generations, Generations.rollback)
    assert seen(following) == {1}
    advance(generations, Generations.rollback)
    assert (seen(following), seen(fixed)) == ({2}, {1})
    following.close()
    fixed.close()


def test_a_range_of_many_pages_is_of_one_generation(
    views: Views, generations: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers are led elsewhere when the first page is read, before those that follow."""
    write(views, 1, rows(1_200, value=1, devices=1))
    write(views, 2, rows(1_200, value=2, devices=1))
    advance(generations, *REBUILD[:-1])
    reader = views.reader(None)
    pages = 0

    def page_by_page(reads: Callable[..., Any]) -> Callable[..., Any]:
        def read(*arguments: Any, **request: Any) -> Any:
            nonlocal pages
            answer = reads(*arguments, **request)
            pages += 1
            if pages == 1:
                advance(generations, Generations.switch)
            return answer

        return read

    if isinstance(reader, RedisReader):
        monkeypatch.setattr(reader, "_sorts", page_by_page(reader._sorts))
    else:
        assert isinstance(reader, DynamoDbReader)
        query = reader._client.query
        monkeypatch.setattr(reader._client, "query", page_by_page(lambda **asked: query(**asked | {"Limit": 500})))
    assert [row.data["value"] for row in reader.range("device#0")] == [1] * 1_200
    assert pages > 2
    assert {row.data["value"] for row in reader.range("device#0")} == {2}
    reader.close()


def test_of_two_changes_of_the_same_generations_the_second_is_refused(
    generations: GenerationStore, place: Place
) -> None:
    for _ in range(2):
        other = place.generations()
        ours, theirs = generations.load(), other.load()
        generations.save(ours.begin(CUT, FOLD), ours.revision)
        with pytest.raises(GenerationError, match="Another process changed the generations"):
            other.save(theirs.begin({}, FOLD), theirs.revision)
        assert other.load() == ours.begin(CUT, FOLD)
        advance(generations, Generations.abandon)
        other.close()


def test_of_many_that_begin_at_once_one_does(generations: GenerationStore, place: Place) -> None:
    held = generations.load()
    stores = [place.generations() for _ in range(8)]

    def attempt(store: GenerationStore) -> bool:
        try:
            store.save(held.begin(CUT, FOLD), held.revision)
        except GenerationError:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as threads:
        assert list(threads.map(attempt, stores)).count(True) == 1
    assert generations.load() == held.begin(CUT, FOLD)
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("ConditionalCheckFailed", GenerationError),
        ("TransactionConflict", GenerationError),
        ("ThrottlingError", StoreUnavailable),
        ("ProvisionedThroughputExceeded", StoreUnavailable),
        ("ItemCollectionSizeLimitExceeded", StoreRefused),
    ],
)
def test_why_a_transaction_was_cancelled_says_what_to_do(
    generations: GenerationStore, monkeypatch: pytest.MonkeyPatch, reason: str, expected: type[Exception]
) -> None:
    """The local server has no such trouble, nor two transactions at one moment."""

    def cancel(**request: Any) -> None:
        raise ClientError(
            {
                "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
                "CancellationReasons": [{"Code": "None"}, {"Code": reason}],
            },
            "TransactWriteItems",
        )

    monkeypatch.setattr(generations._client, "transact_write_items", cancel)
    with pytest.raises(expected):
        advance(generations, begin)


def test_an_unchanged_record_may_be_saved_again(generations: GenerationStore) -> None:
    for changes in ((), REBUILD):
        held = advance(generations, *changes)
        for _ in range(2):
            generations.save(held, held.revision)
            assert generations.load() == held


def test_a_switch_broken_off_before_redis_is_completed_by_publishing(
    generations: GenerationStore, redis_client: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(generations, *REBUILD[:-1])

    def away(generation: int) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as trouble:
        trouble.setattr(generations._redis, "point_to", away)
        with pytest.raises(StoreUnavailable):
            advance(generations, Generations.switch)
    assert (generations.load().current, redis_client.get("tf:generation")) == (2, "1")
    for _ in range(2):
        generations.publish(generations.load())
        assert redis_client.get("tf:generation") == "2"


def test_publishing_after_redis_lost_everything(
    generations: GenerationStore, place: Place, redis_client: "Redis"
) -> None:
    views = place.views("redis")
    advance(generations, *REBUILD)
    redis_client.flushall()
    write(views, 2, rows(1, value=2))
    reader = views.reader(None)
    assert reader.range("device#0") == []
    generations.publish(generations.load())
    assert [row.data["value"] for row in reader.range("device#0")] == [2]
    reader.close()


def test_whoever_publishes_late_tells_what_holds_now(generations: GenerationStore, redis_client: "Redis") -> None:
    switched = advance(generations, *REBUILD)
    advance(generations, Generations.rollback)
    generations.publish(switched)
    assert redis_client.get("tf:generation") == "1"


def test_a_pointer_of_somebody_else_is_refused(place: Place, redis_client: "Redis") -> None:
    reader = place.views("redis").reader(None)
    redis_client.set("tf:generation", "latest")
    with pytest.raises(StoreRefused, match=r"something else under tf:generation.*telefold\.views/redis\.url"):
        reader.get("device#0", "a")
    redis_client.delete("tf:generation")
    redis_client.lpush("tf:generation", 1)
    with pytest.raises(StoreRefused, match=r"something else under tf:generation"):
        reader.range("device#0")
    reader.close()


def test_a_missing_table_and_servers_that_are_away_are_named(place: Place) -> None:
    with_no_table = place._replace(table="no-such-table").generations()
    for use in (with_no_table.load, lambda: with_no_table.save(Generations().begin(CUT, FOLD), 0)):
        with pytest.raises(StoreRefused, match="no-such-table does not exist"):
            use()
    without_dynamodb = place._replace(endpoint=servers.url("dynamodb", servers.free_port())).generations()
    with pytest.raises(StoreUnavailable, match="DynamoDB cannot be reached"):
        without_dynamodb.load()
    without_redis = place._replace(redis_url=servers.url("redis", servers.free_port())).generations(patience_s=0.2)
    with pytest.raises(StoreUnavailable, match="Redis cannot serve"):
        advance(without_redis, begin)
    assert without_redis.load().building == 2
    for store in (with_no_table, without_dynamodb, without_redis):
        store.close()
