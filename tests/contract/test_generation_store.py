"""Generations on real stores: side by side, followed by readers, switched in spite of rivals and trouble, dropped."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from redis import Redis

from connectors import aws
from connectors.dynamodb import DynamoDbReader, DynamoDbWriter
from connectors.generations import GenerationStore
from connectors.redis_views import RedisReader, RedisWriter
from deploy.local import servers
from deploy.local.tables import REGION
from schemas.errors import GenerationError, StoreRefused, StoreUnavailable
from schemas.generations import FIRST, FoldSettings, Generations
from schemas.view_rows import ViewRow, ViewUpdate
from schemas.view_stores import ViewReader, ViewWriter

FOLD = FoldSettings(("latest", "rollups"), {"1m": 60_000})
CUT = {"shard-0": "4960" + "7" * 52, "shard-1": "4960" + "8" * 52}


class Views(NamedTuple):
    """One store, at whatever generation."""

    writer: Callable[[int], ViewWriter]
    reader: Callable[[int | None], ViewReader]


class Place(NamedTuple):
    """Both stores of one test."""

    table: str
    endpoint: str
    redis_url: str

    def views(self, store: str) -> Views:
        if store == "redis":
            return Views(
                lambda generation: RedisWriter(self.redis_url, generation=generation),
                lambda generation: RedisReader(self.redis_url, generation=generation),
            )
        table = (self.table, REGION, self.endpoint)
        return Views(
            lambda generation: DynamoDbWriter(*table, generation=generation),
            lambda generation: DynamoDbReader(*table, generation=generation),
        )

    def generations(self, patience_s: float = 10) -> GenerationStore:
        return GenerationStore(self.table, REGION, self.endpoint, self.redis_url, patience_s=patience_s)


@pytest.fixture
def place(views_table: str, dynamodb_endpoint: str, redis_url: str) -> Place:
    return Place(views_table, dynamodb_endpoint, redis_url)


@pytest.fixture
def generations(place: Place) -> Iterator[GenerationStore]:
    opened = place.generations()
    yield opened
    opened.close()


@pytest.fixture
def cache(redis_url: str) -> Iterator["Redis"]:
    with Redis.from_url(redis_url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def dynamodb(dynamodb_endpoint: str) -> Iterator[Any]:
    opened = aws.client("dynamodb", REGION, dynamodb_endpoint)
    yield opened
    opened.close()


@pytest.fixture(params=["dynamodb", "redis"])
def views(request: pytest.FixtureRequest, place: Place) -> Views:
    return place.views(request.param)


def rows(count: int, value: float = 0, version: int = 1, devices: int = 5) -> list[ViewUpdate]:
    return [
        ViewUpdate("latest", f"device#{n % devices}", f"latest#{n:05}", version, {"value": value}) for n in range(count)
    ]


def write(views: Views, generation: int, updates: list[ViewUpdate]) -> None:
    writer = views.writer(generation)
    writer.write(updates)
    writer.close()


def advance(store: GenerationStore, *changes: Callable[[Generations], Generations]) -> Generations:
    for change in changes:
        held = store.load()
        store.save(change(held), held.revision)
    return store.load()


def begin(held: Generations) -> Generations:
    return held.begin(CUT, FOLD)


REBUILD = (begin, Generations.set_ready, Generations.switch)


def test_where_none_were_ever_saved_there_is_the_first_alone(generations: GenerationStore) -> None:
    assert generations.load() == Generations()


def test_what_was_saved_is_loaded_by_another(generations: GenerationStore, place: Place) -> None:
    saved = advance(generations, *REBUILD, begin)
    other = place.generations()
    assert other.load() == saved
    assert saved == Generations().begin(CUT, FOLD).set_ready().switch().begin(CUT, FOLD)
    other.close()


def test_users_find_the_current_generation_in_its_place(
    generations: GenerationStore, place: Place, dynamodb: Any, cache: "Redis"
) -> None:
    advance(generations, *REBUILD)
    key = {"pk": {"S": "telefold"}, "sk": {"S": "generations"}}
    item = dynamodb.get_item(TableName=place.table, Key=key)["Item"]
    assert item == key | {"generation": {"N": "2"}, "revision": {"N": "3"}}
    assert cache.get("tf:generation") == "2"


def test_the_pointer_stays_small_however_many_shards_a_cut_has(
    generations: GenerationStore, place: Place, dynamodb: Any
) -> None:
    """A read costs by the item's size, and each reader's call reads the pointer."""
    many = {f"shardId-{n:012}": "4960" + "7" * 52 for n in range(3_000)}
    assert advance(generations, lambda held: held.begin(many, FOLD)).cuts == {2: many}
    key = {"pk": {"S": "telefold"}, "sk": {"S": "generations"}}
    answer = dynamodb.get_item(TableName=place.table, Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == 1


def test_listeners_hear_of_a_switch(generations: GenerationStore, cache: "Redis") -> None:
    with cache.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("tf:generation")
        channel.get_message(timeout=1)
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

    def seen(reader: ViewReader) -> set[float]:
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
        response = {
            "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
            "CancellationReasons": [{"Code": "None"}, {"Code": reason}],
        }
        raise ClientError(response, "TransactWriteItems")

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
    generations: GenerationStore, cache: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(generations, *REBUILD[:-1])

    def away(generation: int) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as trouble:
        trouble.setattr(generations._redis, "point_to", away)
        with pytest.raises(StoreUnavailable):
            advance(generations, Generations.switch)
    assert (generations.load().current, cache.get("tf:generation")) == (2, "1")
    for _ in range(2):
        generations.publish(generations.load())
        assert cache.get("tf:generation") == "2"


def test_publishing_after_redis_lost_everything(generations: GenerationStore, place: Place, cache: "Redis") -> None:
    views = place.views("redis")
    advance(generations, *REBUILD)
    cache.flushall()
    write(views, 2, rows(1, value=2))
    reader = views.reader(None)
    assert reader.range("device#0") == []
    generations.publish(generations.load())
    assert [row.data["value"] for row in reader.range("device#0")] == [2]
    reader.close()


def test_whoever_publishes_late_tells_what_holds_now(generations: GenerationStore, cache: "Redis") -> None:
    switched = advance(generations, *REBUILD)
    advance(generations, Generations.rollback)
    generations.publish(switched)
    assert cache.get("tf:generation") == "1"


def test_a_pointer_of_somebody_else_is_refused(place: Place, cache: "Redis") -> None:
    reader = place.views("redis").reader(None)
    cache.set("tf:generation", "latest")
    with pytest.raises(StoreRefused, match=r"something else under tf:generation.*telefold\.views/redis\.url"):
        reader.get("device#0", "a")
    cache.delete("tf:generation")
    cache.lpush("tf:generation", 1)
    with pytest.raises(StoreRefused, match=r"something else under tf:generation"):
        reader.range("device#0")
    reader.close()


def stored(place: Place, generation: int) -> dict[str, int]:
    """Rows of a generation in each store, as their keys say."""
    prefix = "" if generation == FIRST else f"g{generation}/"
    with (
        Redis.from_url(place.redis_url, decode_responses=True) as cache,
        closing(aws.client("dynamodb", REGION, place.endpoint)) as dynamodb,
    ):
        pages = dynamodb.get_paginator("scan").paginate(TableName=place.table, ProjectionExpression="pk")
        partitions = [item["pk"]["S"] for page in pages for item in page["Items"]]
        return {
            "dynamodb": sum(pk.startswith(f"{prefix}device#") for pk in partitions),
            "redis": len(cache.keys(f"tf:{{{prefix}device#*")),
        }


@pytest.mark.parametrize("dropped", [1, 2, 3])
def test_a_drop_takes_all_rows_of_its_generation_and_no_others(
    generations: GenerationStore, place: Place, cache: "Redis", dropped: int
) -> None:
    """Generation 4 is current; more than a page of DynamoDB, which is 1 MB, has to go."""
    for name in ("dynamodb", "redis"):
        for generation in (1, 2, 3, 4, 12, 21):
            write(place.views(name), generation, rows(1_300 if generation == dropped else 30))
    write(place.views("dynamodb"), dropped, [large for n in range(12) for large in _large_rows(n)])
    advance(generations, *REBUILD, *REBUILD, *REBUILD, lambda held: held.cleaned())
    before = {generation: stored(place, generation) for generation in (1, 2, 3, 4, 12, 21)}
    assert before[dropped] == {"dynamodb": 1_312, "redis": 1_305}
    reported: list[int] = []
    assert generations.drop(dropped, reported.append) == 1_312
    assert reported == sorted(set(reported))
    assert len(reported) > 1
    assert reported[-1] == 1_312
    after = {generation: stored(place, generation) for generation in (1, 2, 3, 4, 12, 21)}
    assert after == before | {dropped: {"dynamodb": 0, "redis": 0}}
    assert (generations.load().current, cache.get("tf:generation")) == (4, "4")
    assert generations.drop(dropped) == 0


def _large_rows(device: int) -> Iterator[ViewUpdate]:
    yield ViewUpdate("latest", f"device#large{device}", "a", 1, {f"field{n}{'x' * 90}": n for n in range(2_000)})


def test_devices_whose_ids_look_like_generations_stay_in_theirs(generations: GenerationStore, place: Place) -> None:
    for name in ("dynamodb", "redis"):
        for generation in (1, 2):
            odd = [ViewUpdate("latest", f"device#{ident}", "a", 1, {}) for ident in ("g1/x", "g2/x", "telefold", "}{")]
            write(place.views(name), generation, odd)
    advance(generations, *REBUILD, lambda held: held.cleaned())
    assert generations.drop(1) == 4
    assert stored(place, 1) == {"dynamodb": 0, "redis": 0}
    assert stored(place, 2) == {"dynamodb": 4, "redis": 8}


def test_keys_of_others_in_the_same_redis_stay(generations: GenerationStore, cache: "Redis") -> None:
    cache.set("theirs", "1")
    cache.set(b"\xff\xfe", "1")
    advance(generations, *REBUILD, lambda held: held.cleaned())
    generations.drop(1)
    assert (cache.get("theirs"), cache.get(b"\xff\xfe")) == ("1", "1")


def test_what_is_in_use_or_may_come_back_is_not_dropped(generations: GenerationStore, place: Place) -> None:
    write(place.views("dynamodb"), 1, rows(3))
    write(place.views("dynamodb"), 2, rows(3))
    advance(generations, *REBUILD, begin)
    for generation in (1, 2, 3, 4):
        with pytest.raises(GenerationError, match=f"Generation {generation}"):
            generations.drop(generation)
    assert (stored(place, 1)["dynamodb"], stored(place, 2)["dynamodb"]) == (3, 3)


class Overloaded:
    """A DynamoDB that deletes at most `most` rows a call, and none once it has deleted `until_tired`."""

    def __init__(self, client: Any, most: int, until_tired: int) -> None:
        self._client = client
        self._most = most
        self.until_tired = until_tired

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> Any:  # noqa: N803
        [(table, requests)] = RequestItems.items()
        some, left = requests[: self._most], requests[self._most :]
        self.until_tired -= len(some)
        if self.until_tired < 0:
            return {"UnprocessedItems": RequestItems}
        self._client.batch_write_item(RequestItems={table: some})
        return {"UnprocessedItems": {table: left} if left else {}}


def test_deletes_that_dynamodb_left_out_are_sent_again(generations: GenerationStore, place: Place) -> None:
    write(place.views("dynamodb"), 1, rows(60))
    advance(generations, *REBUILD, lambda held: held.cleaned())
    generations._client = Overloaded(generations._client, most=7, until_tired=1_000)
    assert generations.drop(1) == 60
    assert stored(place, 1)["dynamodb"] == 0


def test_a_drop_that_was_broken_off_goes_on_when_it_is_run_again(place: Place) -> None:
    write(place.views("dynamodb"), 1, rows(60))
    generations = place.generations(patience_s=0.3)
    advance(generations, *REBUILD, lambda held: held.cleaned())
    overloaded = Overloaded(generations._client, most=7, until_tired=40)
    generations._client = overloaded
    with pytest.raises(StoreUnavailable, match="run this again later"):
        generations.drop(1)
    left = stored(place, 1)["dynamodb"]
    assert 0 < left < 60
    overloaded.until_tired = 1_000
    assert generations.drop(1) == left
    assert stored(place, 1)["dynamodb"] == 0
    generations.close()


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
