"""Whatever devices send, the running job makes of it what plain Python makes of it."""

import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

import psutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telefold.operators.folds.device import Device
from telefold.operators.folds.presence import Presence
from telefold.schemas.codec import VERSIONS, decode, encode
from telefold.schemas.errors import OF_RECORDS, RejectedEvent
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import device_partition
from tests.support.fold_rows import rows_of_folds
from tests.support.folds import fold_in_batches
from tests.support.live_job import LiveJob, Sent
from tests.support.waiting import until

GOLDEN = Path(__file__).parents[1] / "golden" / "device_event.json"
KINESIS_RECORD_BYTES = 1 << 20
LATENESS_MS = 5_000
SPAN_MS = 4 * LATENESS_MS

METRICS_DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"

VALUES = st.floats(-1e60, 1e60) | st.integers(-1000, 1000).map(float)
METRICS = st.dictionaries(st.sampled_from(["temperature", "humidity", "ü/%"]), VALUES, max_size=3)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, dict[str, float], int]]:
    """One device's events in the order of its shard: (offset of event_time, sequence, metrics, schema version).

    In any order of event_time, some sent twice; a sequence is never used twice, so the newest reading is never a tie.
    """
    offsets = draw(st.lists(st.integers(0, SPAN_MS), min_size=1, max_size=12))
    events = [(at, n, draw(METRICS), draw(st.sampled_from(VERSIONS))) for n, at in enumerate(offsets)]
    for again in draw(st.lists(st.sampled_from(events), max_size=4)):
        events.insert(draw(st.integers(events.index(again) + 1, len(events))), again)
    return events


def test_prometheus_reads_every_metric_of_the_document(live_job: LiveJob) -> None:
    run, now = uuid4().hex, time.time_ns() // 1_000_000
    event = DeviceEvent(f"{run}-1", run, "telemetry", now, 1, {"t": 1.0})
    before = live_job.metrics()
    live_job.fold([Sent(encode(event), run), Sent(encode(event), run), Sent(b"no event", run)])
    documented = set(re.findall(r"^\| `(\w+)` \|", METRICS_DOCUMENT.read_text("utf-8"), re.MULTILINE))
    read = live_job.metrics()
    assert set(read) == {name for name in documented if not name.startswith("archive")}
    counts = {"eventsIn": 3, "accepted": 1, "duplicates": 1, "rejected": 1, "rejectedBadHeader": 1, "tooLate": 0}
    assert {name: read[name] - before.get(name, 0) for name in counts} == counts
    assert read["rowsWritten"] > 0
    assert read["flushes"] >= read["writes"] > 0
    assert 0 <= read["freshnessMs"] < 60_000
    subtasks = round(read["lastArrival"] / now)  # those that have had an event: of the metric there is one a subtask
    assert subtasks in (1, 2)
    assert abs(read["lastArrival"] / subtasks - now) < 600_000
    assert {
        each.laddr.ip.removeprefix("::ffff:")
        for each in psutil.net_connections("tcp")
        if each.laddr and each.laddr.port == live_job.metrics_port
    } == {"127.0.0.1"}


def test_a_rejected_event_is_told_with_what_it_follows_from(live_job: LiveJob) -> None:
    run, hour = uuid4().hex, 3_600_000
    now = time.time_ns() // 1_000_000
    event = DeviceEvent("e", run, "telemetry", now + hour, 1, {"t": 1.0}, correlation_id=f"order {run}")
    live_job.fold([Sent(encode(event), run)])
    (letter,) = live_job.rejected(run, 1)
    assert letter.correlation_id == f"order {run}"
    (line,) = [line for line in live_job.log() if letter.identity in line["message"]]
    assert line["message"].endswith(f' device="{run}" correlation_id="order {run}"')
    assert {"time", "level", "logger", "thread", "job", "message"} == line.keys()
    assert line["level"] == "WARN"
    assert re.search(r"\([12]/2\)#0$", line["thread"])


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(fleet=st.lists(histories(), min_size=1, max_size=25), spoiled=st.lists(st.binary(max_size=30), max_size=5))
def test_any_mix_of_events_gives_the_oracles_views(
    live_job: LiveJob, fleet: list[list[tuple[int, int, dict[str, float], int]]], spoiled: list[bytes]
) -> None:
    base, run = time.time_ns() // 1_000_000 - SPAN_MS, uuid4().hex
    records = [
        Sent(encode(_event(f"{run}-{n}", base, *what[:3]), what[3]), f"{run}-{n}")
        for n, history in enumerate(fleet)
        for what in history
    ]
    records += [Sent(data, f"{run}-0") for data in spoiled]
    expected = live_job.reckoning(live_job.fold(records))
    assert live_job.differences(expected, {device_partition(f"{run}-{n}") for n in range(len(fleet))}) == []


def _event(device: str, base: int, offset: int, sequence: int, metrics: dict[str, float]) -> DeviceEvent:
    return DeviceEvent(f"{device}-{sequence}", device, "telemetry", base + offset, sequence, metrics)


def test_every_poison_becomes_one_dead_letter_with_its_reason_and_its_bytes(live_job: LiveJob) -> None:
    run, now = f"poison-{uuid4().hex}", time.time_ns() // 1_000_000
    records = [*_golden_records(), *_fresh_poison(now)]
    expected = Counter((_reason(data, now), data) for data in records if _reason(data, now))
    live_job.fold([Sent(data, run) for data in records])
    letters = live_job.rejected(run, expected.total())
    found = Counter((letter.reason, letter.payload) for letter in letters)
    assert found == expected
    assert all(letter.detail and letter.shard and letter.sequence_number for letter in letters)
    assert all(abs(letter.arrival - now) < 120_000 for letter in letters)
    assert {reason for reason, _ in expected} == OF_RECORDS


def _golden_records() -> list[bytes]:
    cases = json.loads(GOLDEN.read_text("utf-8"))
    data = (bytes.fromhex(one["hex"]) + bytes.fromhex(one.get("repeat", "")) * one.get("times", 0) for one in cases)
    return [one for one in data if len(one) < KINESIS_RECORD_BYTES - 100]


def _fresh_poison(now: int) -> list[bytes]:
    event = DeviceEvent("e", "d", "telemetry", now, 1, {"t": 1.0})
    future = DeviceEvent("e", "d", "telemetry", now + 3_600_000, 1, {"t": 1.0})
    noise = os.urandom(KINESIS_RECORD_BYTES - 100)
    return [b"\x00" + noise[1:], encode(future), encode(event)[:-1] + b"\xff"]


def _reason(data: bytes, arrival: int) -> str | None:
    try:
        decode(data, arrival)
    except RejectedEvent as error:
        return str(error.reason)
    return None


def test_folds_in_python_show_a_devices_life_and_its_silence(live_job: LiveJob) -> None:
    """Its clock is nine minutes ahead: it is silent by when it was heard."""
    run, start = uuid4().hex, time.time_ns() // 1_000_000 + 540_000
    device = f"{run}-device"
    attributes = {"report_interval_s": "4", "firmware": "1.0"}
    events = [
        DeviceEvent(f"{run}-0", device, "registered", start, 0, {}, attributes),
        *(DeviceEvent(f"{run}-{n}", device, "telemetry", start + n * 500, n, {"t": 1.0}) for n in range(1, 5)),
    ]
    live_job.fold([Sent(encode(event), device) for event in (*events, events[-1])])
    partition, heard = device_partition(device), live_job.heard(device)
    assert [one.event_id for one in heard] == [one.event_id for one in events]
    lives, _, _ = fold_in_batches(Device(), heard, [])
    for rows in rows_of_folds(live_job.settings, partition).values():
        assert rows["device"].data == lives["device"].data
        assert rows["presence"].data == {"status": "online", "since_at": heard[1].arrival, "outages": 0}
    # Nobody reports any more: at the end of the stream time goes on by itself.
    silences, _, _ = fold_in_batches(Presence(), heard, [], watermark=start + 100_000)
    found = until(
        lambda: rows_of_folds(live_job.settings, partition),
        lambda found: all(
            silences.keys() <= rows.keys() and rows["presence"].data["status"] == "offline" for rows in found.values()
        ),
    )
    for rows in found.values():
        assert {sort: row.data for sort, row in rows.items() if sort != "device"} == {
            sort: row.data for sort, row in silences.items()
        }
