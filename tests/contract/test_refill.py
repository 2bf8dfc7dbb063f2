"""Redis is emptied and filled from the table again: `telefold refill`."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.connectors.dynamodb_rows import BOOKKEEPING
from telefold.connectors.retry_policy import RetryPolicy
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.generations import FoldSettings
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from tests.support.properties import set_properties

ROWS = 900
FOREVER = [
    ViewUpdate("latest", f"device#{number % 90}", f"latest#m{number}", number + 1, {"value": number / 4})
    for number in range(ROWS)
]
LATER = int(time.time()) + 10_000
# More than a page of the table holds, which is 1 MB.
BULKY = [ViewUpdate("notes", "device#0", f"notes#{number}", 1, {"text": "x" * 300_000}) for number in range(6)]
PRESENCE = ViewUpdate("presence", "device#1", "presence", 5, {"status": "offline", "open": True}, LATER)
EXPIRED = ViewUpdate("presence", "device#1", "presence#outage#1970", 5, {"from_at": 0}, 1)
TOLD = ViewUpdate("told", f"{BOOKKEEPING}#told#device#1", "hot#1", 5, {}, LATER)


@pytest.fixture
def properties(tmp_path: Path, views_table: str, dynamodb_endpoint: str, redis_url: str) -> Path:
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    views = {"dynamodb.table": views_table, "dynamodb.endpoint": dynamodb_endpoint, "redis.url": redis_url}
    set_properties(
        path,
        {
            "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1"},
            "telefold.views": views,
            "telefold.dead-letter": {"stream.name": "dead"},
        },
    )
    return path


@pytest.fixture
def loaded(properties: Path) -> Settings:
    return settings.load(properties)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def write(loaded: Settings, *updates: ViewUpdate, generation: int = 1) -> None:
    with closing(stores.open_writer(loaded, lambda store: None, generation)) as writer:
        assert not writer.write(updates).refused


def write_to_the_table(loaded: Settings, *updates: ViewUpdate) -> None:
    """As the bookkeeping does, which may write anything."""
    with closing(stores.open_bookkeeping_writer(loaded)) as writer:
        writer.write(updates)


def rows(loaded: Settings, store: stores.StoreName, partition: str) -> list[ViewRow]:
    """Of the current generation."""
    reader = stores.open_reader(loaded, store)
    found = reader.range(partition)
    reader.close()
    return found


def refill(properties: Path) -> dict[str, float]:
    done = CliRunner().invoke(app, ["refill", "--json", "--properties", str(properties)])
    assert done.exit_code == 0, done.output
    return dict(msgspec.json.decode(done.stdout, type=dict[str, float]))


def test_an_emptied_redis_has_every_row_again(properties: Path, loaded: Settings, redis: Redis) -> None:
    write(loaded, *FOREVER, PRESENCE, EXPIRED)
    write_to_the_table(loaded, TOLD)
    redis.flushdb()
    found = refill(properties)
    assert (found["written"], found["newer"]) == (ROWS + 1, 0)
    for device in ("device#1", "device#7"):
        assert rows(loaded, "redis", device) == rows(loaded, "dynamodb", device) != []
    assert rows(loaded, "redis", TOLD.partition) == []
    assert redis.exists("tf:{device#1}:presence#outage#1970") == 0


def test_rows_that_are_no_jobs_are_named_and_all_others_are_there(
    properties: Path, loaded: Settings, redis: Redis
) -> None:
    write(loaded, *FOREVER, PRESENCE)
    write_to_the_table(loaded, msgspec.structs.replace(PRESENCE, sort="latest#forged"))
    redis.flushdb()
    done = CliRunner().invoke(app, ["refill", "--properties", str(properties)])
    assert done.exit_code == 1
    assert "Not in Redis: the row with pk 'device#1' and sk 'latest#forged': the sort key" in done.output
    assert f"{ROWS + 1} rows are in Redis as in the table; 1 it does not take" in done.output
    assert rows(loaded, "redis", "device#7") == rows(loaded, "dynamodb", "device#7") != []


def test_a_redis_without_room_for_all_ends_it_with_what_to_do(properties: Path, loaded: Settings, redis: Redis) -> None:
    write(loaded, PRESENCE)
    redis.flushdb()
    redis.config_set("maxmemory", 1)
    try:
        done = CliRunner().invoke(app, ["refill", "--properties", str(properties)])
    finally:
        redis.config_set("maxmemory", 0)
    assert done.exit_code != 0
    assert "Redis is full" in str(done.exception)


def test_one_device_fills_several_pages(properties: Path, loaded: Settings, redis: Redis) -> None:
    write(loaded, *BULKY)
    redis.flushdb()
    assert refill(properties)["written"] == len(BULKY)
    assert rows(loaded, "redis", "device#0") == rows(loaded, "dynamodb", "device#0") != []


def test_no_row_steps_back(properties: Path, loaded: Settings, redis: Redis) -> None:
    write(loaded, *FOREVER, PRESENCE)
    ahead = stores.open_cache_writer(loaded, 1, RetryPolicy())
    ahead.write([msgspec.structs.replace(PRESENCE, version=6, data={"status": "online"})])
    ahead.close()
    found = refill(properties)
    assert (found["written"], found["newer"]) == (ROWS, 1)
    (presence,) = [row for row in rows(loaded, "redis", "device#1") if row.sort == "presence"]
    assert (presence.version, presence.data) == (6, {"status": "online"})


def test_readers_of_redis_find_the_current_generation_again(properties: Path, loaded: Settings, redis: Redis) -> None:
    store = stores.open_generations(loaded)
    store.change(lambda held: held.begin({}, FoldSettings(("latest",), {})))
    store.change(lambda held: held.set_ready())
    store.change(lambda held: held.switch())
    write(loaded, PRESENCE, generation=1)
    write(loaded, *FOREVER[:9], generation=2)
    redis.flushdb()
    assert rows(loaded, "redis", "device#1") == []
    assert refill(properties)["written"] == 10
    assert rows(loaded, "redis", "device#1") == rows(loaded, "dynamodb", "device#1") != []
    store.change(lambda held: held.rollback())
    assert rows(loaded, "redis", "device#1") == rows(loaded, "dynamodb", "device#1") != []
    store.close()
