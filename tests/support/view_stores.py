"""The stores of which every promise is asked: memory, and DynamoDB and Redis at two generations."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from telefold.connectors.memory import MemoryViews
from telefold.schemas.generations import FIRST
from telefold.schemas.view_stores import ViewReader, ViewWriter
from tests.support.open_stores import dynamodb_reader, dynamodb_writer, redis_reader, redis_writer
from tests.support.view_rows import row


class Store(NamedTuple):
    writer: ViewWriter
    reader: ViewReader


def _memory(request: pytest.FixtureRequest, generation: int) -> Store:
    views = MemoryViews()
    return Store(views, views)


def _dynamodb(request: pytest.FixtureRequest, generation: int) -> Store:
    table, endpoint = request.getfixturevalue("views_table"), request.getfixturevalue("dynamodb_endpoint")
    return Store(
        dynamodb_writer(table, endpoint, generation=generation),
        dynamodb_reader(table, endpoint, generation=None if generation == FIRST else generation),
    )


def _redis(request: pytest.FixtureRequest, generation: int) -> Store:
    url = request.getfixturevalue("redis_url")
    return Store(
        redis_writer(url, generation=generation),
        redis_reader(url, generation=None if generation == FIRST else generation),
    )


Open = Callable[[pytest.FixtureRequest, int], Store]
OPEN: dict[str, Open] = {"memory": _memory, "dynamodb": _dynamodb, "redis": _redis}
PARAMETERS = [("memory", 1), ("dynamodb", 1), ("redis", 1), ("dynamodb", 2), ("redis", 2)]
"""Store and generation."""


def put(store: Store, *sorts: str) -> None:
    store.writer.write([row(sort) for sort in sorts])
