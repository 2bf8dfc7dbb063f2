"""Which stores the settings open: each name its own, none of them another's."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from telefold.connectors import view_writer
from telefold.connectors.dynamodb_scan import DynamoDbScan
from telefold.connectors.memory import MemoryViews
from telefold.connectors.redis_views import RedisReader
from telefold.jobs import settings
from telefold.jobs.stores import STORES, open_mender, open_reader, open_writer, partitions
from telefold.views.packed_reader import PackedReader

LOADED = settings.parse(
    {
        "telefold.source": {"stream.name": "events", "aws.region": "us-east-1"},
        "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1:1"},
        "telefold.dead-letter": {"stream.name": "dead-letters"},
    }
)


def items_of(store: Any) -> object:
    """The reader or mender of items, behind that of the rows in them."""
    return store.stored if isinstance(store, PackedReader) else store._mender


@pytest.mark.parametrize("opened", [open_reader, open_mender])
def test_each_store_has_a_reader_and_a_mender_of_its_own(opened: Any) -> None:
    kinds = set[type]()
    for name in STORES:
        with closing(opened(LOADED, name, 1)) as store:
            kinds.add(type(items_of(store)))
    assert len(kinds) == len(STORES)


def test_each_store_is_asked_for_its_own_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DynamoDbScan, "partitions", lambda self, generation: ["dynamodb"])
    monkeypatch.setattr(RedisReader, "partitions", lambda self, generation: ["redis"])
    for name in STORES:
        assert partitions(LOADED, name, 1) == {name}


def test_the_writer_of_a_job_writes_to_every_store_and_to_the_durable_one_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []

    def stores(made: Mapping[str, Any], patience: Any, healing: Any) -> MemoryViews:
        assert healing is None
        for name, writer in made.items():
            written.append(name)
            writer.close()
        return MemoryViews()

    monkeypatch.setattr(view_writer, "ViewStores", stores)
    open_writer(LOADED, lambda name: None).close()
    assert written == list(STORES)
    assert written[0] == "dynamodb"
