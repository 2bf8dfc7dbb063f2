"""The views are rebuilt while events flow and processes die; readers notice nothing but truer rows."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from telefold.jobs import settings, stores
from telefold.jobs.stores import STORES, StoreName
from telefold.schemas.generations import Generations
from telefold.schemas.view_rows import ViewRow, device_partition
from telefold.simulator.generator import Spec, device_id
from tests.support.fleet import send_fleet
from tests.support.processes import Command, Job
from tests.support.producer import Producer
from tests.support.properties import set_properties
from tests.support.reader import Reader
from tests.support.version_watcher import VersionWatcher

FLEET = Spec(
    events=60_000,
    devices=30,
    seed=5,
    duplicates=0.03,
    out_of_order=0.1,
    poison=0.01,
    schema="mixed",
    corrections=0.02,
)
SHORT = {
    "checkpoint.interval": "1s",
    "flush.interval": "300ms",
    "rollup.lateness": "400ms",
    "rollup.sizes": "10s,1m,1h",
}


@pytest.fixture
def rebuild(properties: Path) -> Iterator[Command]:
    command = Command(properties, "rebuild")
    yield command
    command.end()


@pytest.fixture
def loaded(properties: Path) -> settings.Settings:
    """Late events are there on purpose: a rebuild folds them, the live job does not."""
    set_properties(properties, {"telefold.job": SHORT})
    return settings.load(properties)


def generations(loaded: settings.Settings) -> Generations:
    with closing(stores.open_generations(loaded)) as store:
        return store.load()


Rows = dict[tuple[StoreName, str, str], ViewRow]


def rows(loaded: settings.Settings, generation: int | None = None) -> Rows:
    """Every row of the fleet in both stores, in the generation that readers read unless one is given."""
    found: Rows = {}
    for store in STORES:
        with closing(stores.open_reader(loaded, store, generation)) as reader:
            for number in range(1, FLEET.devices + 1):
                partition = device_partition(device_id(number))
                found |= {(store, partition, row.sort): row for row in reader.range(partition)}
    return found


def check_every_row(properties: Path) -> None:
    """`telefold verify` finds no difference, and no row that it cannot compare."""
    said = Command(properties, "verify").said("--settle", "0")
    assert said["right"]
    assert [store["in_flight"] for store in said["stores"]] == [[], []]
    assert all(store["rows"] > 100 for store in said["stores"])


def test_a_rebuild_under_load_is_noticed_by_nobody(
    properties: Path, loaded: settings.Settings, job: Job, rebuild: Command
) -> None:
    """The live job is killed twice: while the rebuild folds, and while it takes the new generation over."""
    producer = Producer(loaded, FLEET)
    devices = [device_id(number) for number in range(1, FLEET.devices + 1)]
    with VersionWatcher(loaded) as watcher, closing(producer), Reader(loaded, devices) as reader:
        producer.start()
        job.start()
        job.await_events(1_500)
        job.await_checkpoint(time.time())
        rebuild.start()
        rebuild.await_output("Folding the archive")
        job.kill()
        job.start()
        job.await_generation(2)
        job.kill()
        assert generations(loaded).current == 1
        job.start()
        assert rebuild.wait() == 0, rebuild.output()
        assert generations(loaded).current == 2
        job.await_checkpoint(time.time())
        producer.close()
        job.await_caught_up()
        assert job.stop() == 0
    assert reader.problems == []
    assert reader.reads > 500
    assert watcher.falls == []
    check_every_row(properties)
    _roll_back_and_clean(properties, loaded, job, rebuild)


def _roll_back_and_clean(properties: Path, loaded: settings.Settings, job: Job, rebuild: Command) -> None:
    old = rows(loaded, generation=1)
    assert rows(loaded) != old
    assert rebuild.run("--rollback") == 0, rebuild.output()
    assert rows(loaded) == old
    job.start()
    job.await_generation(1)
    job.await_caught_up()
    assert job.stop() == 0
    check_every_row(properties)
    assert rebuild.run("--clean") == 0, rebuild.output()
    assert not rows(loaded, generation=2)
    assert rebuild.run("--rollback") == 1


def test_a_rebuild_given_up_or_killed_at_each_stage_harms_nothing(
    properties: Path, loaded: settings.Settings, job: Job, rebuild: Command
) -> None:
    """No live job runs meanwhile; it is killed, too, while it takes the new generation over."""
    _fold_fleet(loaded, job, events=6_000)
    before = rows(loaded)
    _kill_at(rebuild, "archive read")
    assert rebuild.run("--abandon") == 0, rebuild.output()
    assert generations(loaded).building is None
    assert not rows(loaded, generation=2)
    assert not (properties.parent / "checkpoints" / "telemetry-g2").exists()

    for stage in ("Building generation 3", "archive read", "Verifying a sample"):
        _kill_at(rebuild, stage)
        assert rows(loaded) == before
    assert rebuild.run() == 0, rebuild.output()
    assert rows(loaded) == before
    job.start()
    job.await_generation(3)
    job.kill()
    assert generations(loaded).current == 1
    job.start()
    job.await_that(lambda: generations(loaded).current == 3, "readers of generation 3")
    assert job.stop() == 0
    assert rows(loaded) != before, "no late event made a difference"
    check_every_row(properties)


def _kill_at(rebuild: Command, stage: str) -> None:
    """Start it and kill it right after it has said `stage`."""
    times = rebuild.output().count(stage)
    rebuild.start()
    rebuild.await_output(stage, times + 1)
    time.sleep(0.3)
    rebuild.kill()


def _fold_fleet(loaded: settings.Settings, job: Job, events: int) -> None:
    sent = send_fleet(loaded, msgspec.structs.replace(FLEET, events=events))
    job.start()
    job.await_events(len(sent))
    job.await_caught_up()
    assert job.stop() == 0
