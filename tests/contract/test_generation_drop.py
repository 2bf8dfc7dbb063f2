"""Generations are dropped from real stores: all of their rows and no others, in spite of trouble."""

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from telefold.connectors import aws
from telefold.connectors.generations import GenerationStore
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import GenerationError, StoreUnavailable
from telefold.schemas.generations import FIRST
from telefold.schemas.view_rows import ViewUpdate
from tests.support.generation_stores import REBUILD, Place, advance, begin, rows, write
from tests.support.stand_in import stand_in

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def stored(place: Place, generation: int) -> dict[str, int]:
    """Rows of a generation in each store, as their keys say."""
    prefix = "" if generation == FIRST else f"g{generation}/"
    with (
        Redis.from_url(place.redis_url, decode_responses=True) as redis_client,
        closing(aws.client("dynamodb", REGION, place.endpoint)) as dynamodb,
    ):
        pages = dynamodb.get_paginator("scan").paginate(TableName=place.table, ProjectionExpression="pk")
        partitions = [item["pk"]["S"] for page in pages for item in page["Items"]]
        return {
            "dynamodb": sum(pk.startswith(f"{prefix}device#") for pk in partitions),
            "redis": len(redis_client.keys(f"tf:{{{prefix}device#*")),
        }


@pytest.mark.parametrize("dropped", [1, 2, 3])
def test_a_drop_takes_all_rows_of_its_generation_and_no_others(
    generations: GenerationStore, place: Place, redis_client: "Redis", dropped: int
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
    assert (generations.load().current, redis_client.get("tf:generation")) == (4, "4")
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


def test_keys_of_others_in_the_same_redis_stay(generations: GenerationStore, redis_client: "Redis") -> None:
    redis_client.set("theirs", "1")
    redis_client.set(b"\xff\xfe", "1")
    advance(generations, *REBUILD, lambda held: held.cleaned())
    generations.drop(1)
    assert (redis_client.get("theirs"), redis_client.get(b"\xff\xfe")) == ("1", "1")


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

    def __init__(self, client: "DynamoDBClient", most: int, until_tired: int) -> None:
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
    generations._client = stand_in(Overloaded(generations._client, most=7, until_tired=1_000))
    assert generations.drop(1) == 60
    assert stored(place, 1)["dynamodb"] == 0


def test_a_drop_that_was_broken_off_goes_on_when_it_is_run_again(place: Place) -> None:
    write(place.views("dynamodb"), 1, rows(60))
    generations = place.generations(patience_s=0.3)
    advance(generations, *REBUILD, lambda held: held.cleaned())
    overloaded = Overloaded(generations._client, most=7, until_tired=40)
    generations._client = stand_in(overloaded)
    with pytest.raises(StoreUnavailable, match="run this again later"):
        generations.drop(1)
    left = stored(place, 1)["dynamodb"]
    assert 0 < left < 60
    overloaded.until_tired = 1_000
    assert generations.drop(1) == left
    assert stored(place, 1)["dynamodb"] == 0
    generations.close()
