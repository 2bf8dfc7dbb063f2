"""What the oracle folds is what `telefold query` and the oracle's comparison read back from the real stores."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from telefold.cli import query
from telefold.deploy.local.tables import REGION
from telefold.jobs import settings, stores
from telefold.jobs.stores import StoreName
from telefold.schemas.generations import FoldSettings, Generations
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import ViewWriter
from telefold.simulator.generator import Spec, generate
from telefold.verify.oracle import Reckoning, compare, fold, read_rows
from tests.support.open_stores import dynamodb_writer, redis_writer
from tests.support.version_watcher import VersionWatcher
from tests.support.waiting import until

HOUR = 3_600_000


@pytest.fixture
def properties(tmp_path: Path, dynamodb_endpoint: str, views_table: str, redis_url: str) -> Path:
    groups = {
        "telefold.source": {"stream.name": "events", "aws.region": REGION},
        "telefold.views": {
            "dynamodb.table": views_table,
            "dynamodb.endpoint": dynamodb_endpoint,
            "redis.url": redis_url,
        },
        "telefold.dead-letter": {"stream.name": "dead-letters"},
    }
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()]))
    return path


@pytest.fixture
def reckoning() -> Reckoning:
    now = time.time_ns() // 1_000_000
    made = generate(Spec(events=600, devices=5, seed=1, duplicates=0.1, out_of_order=0.2), now - HOUR)
    log = [LogRecord(record.data, now, record.partition_key, "s", str(n)) for n, record in enumerate(made)]
    return fold(log, {"1m": 60_000, "1h": HOUR}, HOUR, {"rollups": 86_400})


@pytest.fixture(params=stores.STORES)
def store(request: pytest.FixtureRequest, properties: Path, reckoning: Reckoning) -> StoreName:
    loaded = settings.load(properties).views
    writers: dict[str, Callable[[], ViewWriter]] = {
        "dynamodb": lambda: dynamodb_writer(loaded.dynamodb_table, loaded.dynamodb_endpoint),
        "redis": lambda: redis_writer(loaded.redis_url),
    }
    name: StoreName = request.param
    with closing(writers[name]()) as writer:
        writer.write(list(reckoning.rows.values()))
    return name


def test_a_store_that_was_written_agrees_with_the_oracle(
    properties: Path, store: StoreName, reckoning: Reckoning
) -> None:
    with closing(stores.open_reader(settings.load(properties), store)) as reader:
        assert compare(reckoning.rows, read_rows(reader, reckoning.partitions)) == []


@pytest.mark.parametrize("what", ["device", "latest", "rollups"])
def test_queries_read_what_was_folded(properties: Path, store: StoreName, reckoning: Reckoning, what: str) -> None:
    options = [what, "device-3", "--store", store, "--properties", str(properties), "--json"]
    rows = json.loads(CliRunner().invoke(query.app, options).stdout)["rows"]
    assert rows
    for row in rows:
        folded = reckoning.rows["device#device-3", row["sort"]]
        assert (row["version"], row["expires_at"]) == (folded.version, folded.expires_at)
        added = {"mean", "std"} if folded.view == "rollups" else set()
        assert row["data"].keys() == folded.data.keys() | added
        assert {field: row["data"][field] for field in folded.data} == pytest.approx(folded.data)
    metrics = {sort.split("#")[-1] for (p, sort) in reckoning.rows if p == "device#device-3" and "latest" in sort}
    latest, newest = len(metrics), 2 * len(metrics)
    minutes = sum(p == "device#device-3" and sort.startswith("rollup#1m#") for p, sort in reckoning.rows)
    assert len(rows) == {"device": latest + newest, "latest": latest, "rollups": minutes}[what]


def _switch_to_the_second(loaded: settings.Settings) -> None:
    with closing(stores.open_generations(loaded)) as generations:
        held = generations.load()
        changed = held.begin({}, FoldSettings(("latest",), {})).set_ready().switch()
        generations.save(changed, held.revision)


def _write(loaded: settings.Settings, generation: int, version: int) -> None:
    with closing(stores.open_writer(loaded, lambda store: None, generation=generation)) as writer:
        writer.write([ViewUpdate("latest", "device#device-3", "latest#t", version, {"value": generation, "at": HOUR})])


@pytest.mark.parametrize("name", stores.STORES)
def test_what_the_settings_open_follows_a_switch(properties: Path, name: StoreName) -> None:
    loaded = settings.load(properties)
    for generation in (1, 2):
        _write(loaded, generation, version=1)
    options = ["latest", "device-3", "--store", name, "--properties", str(properties), "--json"]

    def queried() -> float:
        return float(json.loads(CliRunner().invoke(query.app, options).stdout)["rows"][0]["data"]["value"])

    assert queried() == 1
    _switch_to_the_second(loaded)
    assert queried() == 2
    with closing(stores.open_reader(loaded, name, generation=1)) as reader:
        row = reader.get("device#device-3", "latest#t")
        assert row is not None
        assert row.data["value"] == 1


@pytest.fixture
def watched(properties: Path) -> Iterator[VersionWatcher]:
    """Watches while generation 2, of lower versions, takes the place of generation 1."""
    loaded = settings.load(properties)
    with VersionWatcher(loaded) as watcher:
        _write(loaded, 1, version=9)
        _await_look(watcher)
        _write(loaded, 2, version=3)
        _switch_to_the_second(loaded)
        _await_look(watcher)
        yield watcher


def _await_look(watcher: VersionWatcher) -> None:
    """Two looks on, one has begun and ended since."""
    before = watcher.looks
    until(lambda: watcher.looks >= before + 2, every_s=0.02)


def _drop_the_first(loaded: settings.Settings) -> None:
    with closing(stores.open_generations(loaded)) as generations:
        held: Generations = generations.load()
        generations.save(held.cleaned(), held.revision)
        assert generations.drop(1) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_the_watcher_lets_only_an_announced_generation_vanish(
    properties: Path, watched: VersionWatcher, announced: bool
) -> None:
    assert watched.falls == []
    if announced:
        watched.may_vanish(1)
    _drop_the_first(settings.load(properties))
    _await_look(watched)
    stores_that_lost_rows = {fall.partition(" ")[0] for fall in watched.falls if fall.endswith("vanished")}
    assert stores_that_lost_rows == (set() if announced else {"dynamodb", "redis"})
    assert announced == (watched.falls == [])
