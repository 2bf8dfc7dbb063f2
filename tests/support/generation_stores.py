"""Generations on real stores: both stores of a test, and how its generations are moved on."""

from collections.abc import Callable
from typing import NamedTuple

from telefold.connectors.generations import GenerationStore
from telefold.schemas.generations import FoldSettings, Generations
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import ViewReader, ViewWriter
from tests.support.open_stores import dynamodb_reader, dynamodb_writer, generation_store, redis_reader, redis_writer

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
                lambda generation: redis_writer(self.redis_url, generation=generation),
                lambda generation: redis_reader(self.redis_url, generation=generation),
            )
        return Views(
            lambda generation: dynamodb_writer(self.table, self.endpoint, generation),
            lambda generation: dynamodb_reader(self.table, self.endpoint, generation),
        )

    def generations(self, patience_s: float = 10) -> GenerationStore:
        return generation_store(self.table, self.endpoint, self.redis_url, patience_s)


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
