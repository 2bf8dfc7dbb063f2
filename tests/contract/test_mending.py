"""Single rows put right in the real stores: only what is still as it was found, whatever its version."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from telefold.connectors.mending import Mend
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from tests.support.properties import set_properties

ROW = ViewUpdate("presence", "device#d", "presence", 5, {"status": "online", "outages": 1})
ENDING = msgspec.structs.replace(ROW, sort="presence#outage#1970", expires_at=8_000_000_000)
WRONG = msgspec.structs.replace(ROW, version=2**60, data={"status": "offline", "odd": True})


@pytest.fixture
def loaded(tmp_path: Path, views_table: str, dynamodb_endpoint: str, redis_url: str) -> Settings:
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    views = {"dynamodb.table": views_table, "dynamodb.endpoint": dynamodb_endpoint, "redis.url": redis_url}
    source = {"stream.name": "telemetry", "aws.region": "us-east-1"}
    set_properties(
        path, {"telefold.source": source, "telefold.views": views, "telefold.dead-letter": {"stream.name": "dead"}}
    )
    return settings.load(path)


class Store:
    """One of them, in a generation that is not the first."""

    GENERATION = 2

    def __init__(self, loaded: Settings, name: stores.StoreName) -> None:
        self._loaded, self._name = loaded, name

    def write(self, *rows: ViewUpdate) -> None:
        with closing(stores.open_writer(self._loaded, lambda store: None, self.GENERATION)) as writer:
            assert not writer.write(rows).refused

    def mend(self, found: int | None, wanted: ViewUpdate | None, sort: str = ROW.sort) -> bool:
        with closing(stores.open_mender(self._loaded, self._name, self.GENERATION)) as mender:
            return mender.mend(Mend(ROW.partition, sort, found, wanted))

    @property
    def rows(self) -> list[ViewRow]:
        with closing(stores.open_reader(self._loaded, self._name, self.GENERATION)) as reader:
            return reader.range(ROW.partition)


@pytest.fixture(params=stores.STORES)
def store(request: pytest.FixtureRequest, loaded: Settings) -> Store:
    return Store(loaded, request.param)


def as_read(row: ViewUpdate) -> ViewRow:
    return ViewRow(row.sort, row.version, row.data, row.expires_at)


def test_a_row_that_is_too_new_steps_back_and_the_job_writes_it_again(store: Store) -> None:
    store.write(WRONG)
    assert store.mend(WRONG.version, ROW)
    assert store.rows == [as_read(ROW)]
    newer = msgspec.structs.replace(ROW, version=6)
    store.write(newer)
    assert store.rows == [as_read(newer)]


def test_a_row_that_is_missing_comes_and_one_that_nothing_explains_goes(store: Store) -> None:
    store.write(WRONG)
    assert store.mend(None, ENDING, ENDING.sort)
    assert store.rows == [as_read(WRONG), as_read(ENDING)]
    assert store.mend(WRONG.version, None)
    assert store.mend(ENDING.version, None, ENDING.sort)
    assert store.rows == []


def test_what_was_written_meanwhile_stays(store: Store) -> None:
    store.write(ROW)
    for found in (None, 4):
        assert not store.mend(found, WRONG)
    assert not store.mend(4, None)
    assert store.rows == [as_read(ROW)]


def test_a_row_gets_its_end_and_loses_it(store: Store) -> None:
    store.write(ENDING)
    endless = msgspec.structs.replace(ENDING, expires_at=None)
    assert store.mend(ENDING.version, endless, ENDING.sort)
    assert store.rows == [as_read(endless)]
    assert store.mend(ENDING.version, ENDING, ENDING.sort)
    assert store.rows == [as_read(ENDING)]
