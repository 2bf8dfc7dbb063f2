"""Whatever events and rules hold, the job goes on; what nobody can fold is a dead letter. In both modes of Python."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from telefold.connectors import aws
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import append
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_reader
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RULES_PARTITION, RuleChange, encode_change
from telefold.schemas.view_rows import Data, device_partition
from telefold.schemas.view_stores import ViewReader
from tests.support.live_job import Sent
from tests.support.processes import Job
from tests.support.properties import set_properties
from tests.support.waiting import until

FOLD = """
from collections.abc import Iterable

import msgspec

from telefold import Contribution, DeviceEvent, Fold, FoldRow


class Count(msgspec.Struct, frozen=True):
    events: int = 0
    amount: float = 0.0
    last: str = ""
    rings_at: int | None = None


def deep(state):
    return deep(state)


class Poisonous(Fold[Count]):
    name = "poisonous"
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        if event.type == "raises":
            raise KeyError(event.event_id)
        if event.type == "recurses":
            deep(state)
        amount = float("nan") if event.type == "no number" else state.amount + 1
        rings_at = event.event_time + 100 if event.type == "rings" else None
        return Count(state.events + 1, amount, event.type, rings_at)

    def wake_at(self, state: Count) -> int | None:
        return state.rings_at

    def on_time(self, state: Count, at: int) -> Count:
        raise RuntimeError("no bell")

    def rows(self, state: Count) -> Iterable[FoldRow]:
        sort = "latest#t" if state.last == "steals" else "poisonous"
        yield FoldRow(sort, {"events": state.events}, 1_767_225_600_000 if state.last == "milliseconds" else None)

    def contributes(self, before: Count, after: Count) -> Iterable[Contribution]:
        group = "x" * 3_000 if after.last == "names a group" else "counted"
        yield Contribution(group, "poisonous", {"events": after.events - before.events})
"""
POISON = ("raises", "recurses", "no number", "steals", "milliseconds", "names a group")
SITES = ("ber\tlin", 'x\nfleet#all\t["fleet#all","fleet","z","fleet",{"devices":4000000},null,null,1]', "a#b", "")


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_what_no_fold_and_no_rule_can_be_made_of_is_set_aside(
    mode: str, properties: Path, tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "poisonous.py").write_text(FOLD, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    short = {"checkpoint.interval": "500ms", "flush.interval": "200ms", "python.execution-mode": mode}
    folds = {"folds": "device,alert,fleet", "group.rollups": "site"}
    set_properties(properties, {"telefold.job": {**short, **folds}})
    loaded = settings.load(properties)
    set_properties(properties, {"telefold.job": {"folds": "poisonous:Poisonous,device,alert,fleet"}})

    bad_rules = [b"[" * 100_000, encode_change(RuleChange("x" * 3_000, 1)), encode_change(RuleChange("late", 2**62))]
    assert loaded.alerts.rules_stream
    send(loaded, loaded.alerts.rules_stream, [Sent(record, "any") for record in bad_rules])
    with stores.open_rule_book(loaded) as book:
        book.put("hot", "t > 80")
    devices = {f"device-{n}\t{n}": site for n, site in enumerate(SITES)}
    events = [
        event(device, number, kind, site)
        for device, site in devices.items()
        for number, kind in enumerate(["telemetry", *POISON, "telemetry", "rings"])
    ]
    send(loaded, loaded.source.name, [Sent(encode(one), one.device_id) for one in events])
    job.start()
    job.await_events(len(events))
    job.await_caught_up()

    with closing(open_reader(loaded, "dynamodb")) as reader:
        for device, site in devices.items():
            partition = device_partition(device)
            await_row(reader, partition, "poisonous", lambda data: data == {"events": 3})
            await_row(reader, partition, "device", lambda data: data["events"] == 3 + len(POISON))
            await_row(reader, partition, "alert#hot", lambda data: data["state"] == "firing")
            await_row(reader, f"fleet#site#{site}", "fleet", lambda data: data["devices"] == 1)
            await_row(reader, "fleets", f"fleet#site#{site}", lambda data: data["devices"] == 1)
        await_row(reader, "fleet#all", "fleet", lambda data: data["devices"] == len(devices))
        await_row(reader, "fleet#counted", "poisonous", lambda data: data["events"] == 3 * len(devices))
        assert {row.sort.partition("#")[0] for row in reader.range(RULES_PARTITION)} == {"hot"}
    letters = until(lambda: set_aside(loaded), lambda found: found.total() >= len(devices) * (len(POISON) + 1) + 3)
    assert letters == {"bad_rule": 3, "fold_failed": len(devices) * (len(POISON) + 1)}
    assert job.stop() == 0, job.output()


def event(device: str, number: int, kind: str, site: str) -> DeviceEvent:
    at = time.time_ns() // 1_000_000
    return DeviceEvent(f"{device}-{number}", device, kind, at, number, {"t": 81.0}, {"site": site})


def send(loaded: Settings, stream: str, records: list[Sent]) -> None:
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        append(kinesis, stream, records)


def set_aside(loaded: Settings) -> Counter[str]:
    """How many distinct letters there are, by reason."""
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        found: dict[str, DeadLetter] = {
            one.identity: one for one in read_dead_letters(kinesis, loaded.dead_letter.name)
        }
    return Counter(one.reason for one in found.values())


def await_row(reader: ViewReader, partition: str, sort: str, is_right: Callable[[Data], bool]) -> None:
    until(lambda: reader.get(partition, sort), lambda row: row is not None and is_right(row.data))
