from collections import Counter, defaultdict

import msgspec
import pytest

from telefold.schemas.codec import decode, header, known_version
from telefold.schemas.errors import Reason, RejectedEvent, SettingsError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.simulator.generator import MAX_DELAY_MS, POISONS, GeneratedRecord, Spec, generate, generate_at, spread
from telefold.verify.oracle import fold

START = 1_769_860_800_000
HOUR = 3_600_000
ROUGH = Spec(events=4_000, devices=40, seed=7, duplicates=0.1, out_of_order=0.2, poison=0.05, schema="mixed")
CORRECTED = msgspec.structs.replace(ROUGH, corrections=0.3)


def records(spec: Spec, start: int = START) -> list[GeneratedRecord]:
    return list(generate(spec, start))


def events(spec: Spec) -> list[DeviceEvent]:
    return [decode(record.data, START + HOUR) for record in records(spec) if record.kind == "event"]


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    assert records(ROUGH) == records(ROUGH)


def test_another_start_gives_other_events_of_the_same_fleet() -> None:
    spec = Spec(events=300, devices=3, seed=1)
    ids = {decode(record.data, START + HOUR).event_id for record in records(spec)}
    assert ids.isdisjoint(decode(record.data, START + 2 * HOUR).event_id for record in records(spec, START + 1))


def test_another_seed_gives_other_bytes() -> None:
    assert records(Spec(events=10, seed=1)) != records(Spec(events=10, seed=2))


def test_events_are_spread_over_the_hour_from_the_start() -> None:
    times = [event.event_time for event in events(Spec(events=1_000))]
    assert times == sorted(times)
    assert times[0] == START
    assert START + HOUR - 10_000 < times[-1] < START + HOUR


def test_a_fleet_reports_in_turn_and_registers_first() -> None:
    fleet = events(Spec(events=200, devices=3))
    assert [event.device_id for event in fleet[:4]] == ["device-1", "device-2", "device-3", "device-1"]
    assert [event.type for event in fleet[:3]] == ["registered"] * 3
    assert fleet[0].attributes.keys() == {"site", "model", "firmware"}
    assert fleet[3].metrics.keys() == {"temperature", "humidity", "battery"}
    assert Counter(event.type for event in fleet) == {"registered": 3, "telemetry": 194, "configured": 3}


def test_no_two_events_of_a_device_share_time_and_sequence() -> None:
    marks = [(event.device_id, event.event_time, event.sequence) for event in events(ROUGH)]
    assert len(set(marks)) == len(marks) == ROUGH.events


def test_readings_are_plausible() -> None:
    for event in events(ROUGH):
        assert 5 < event.metrics.get("temperature", 20) < 40
        assert 0 < event.metrics.get("humidity", 50) < 100
        assert 0 < event.metrics.get("battery", 50) <= 100


def test_shares_come_out_about_as_asked() -> None:
    kinds = Counter(record.kind for record in records(ROUGH))
    assert kinds["event"] == ROUGH.events
    assert kinds["duplicate"] == pytest.approx(400, rel=0.2)
    assert kinds["poison"] == pytest.approx(200, rel=0.2)


def test_duplicates_are_exact_and_come_later() -> None:
    seen: set[bytes] = set()
    for record in records(ROUGH):
        assert (record.kind == "duplicate") == (record.data in seen and record.kind != "poison")
        seen.add(record.data)


def test_events_out_of_order_are_late_by_a_bounded_time() -> None:
    clocks: dict[str, int] = defaultdict(int)
    behind = []
    for event in events(ROUGH):
        if (lag := clocks[event.device_id] - event.event_time) > 0:
            behind.append(lag)
        clocks[event.device_id] = max(clocks[event.device_id], event.event_time)
    assert len(behind) == pytest.approx(800, rel=0.2)
    assert max(behind) <= MAX_DELAY_MS


def test_a_correction_comes_after_its_event_and_changes_every_reading() -> None:
    seen: dict[str, DeviceEvent] = {}
    for record in records(CORRECTED):
        if record.kind == "event":
            event = decode(record.data, START + HOUR)
            assert event.corrects is None
            seen[event.event_id] = event
        elif record.kind == "correction":
            correction = decode(record.data, START + HOUR)
            original = seen[correction.corrects or ""]
            assert (correction.type, original.type) == ("correction", "telemetry")
            assert correction.event_id not in seen
            for same in ("device_id", "event_time", "sequence"):
                assert getattr(correction, same) == getattr(original, same)
            assert correction.metrics.keys() == original.metrics.keys()
            assert all(correction.metrics[name] != value for name, value in original.metrics.items())


def test_only_devices_whose_schema_has_corrections_send_them() -> None:
    made = records(CORRECTED)
    versions = {record.partition_key: known_version(record.data) for record in made if record.kind == "event"}
    corrections = [record for record in made if record.kind == "correction"]
    assert {versions[record.partition_key] for record in corrections} == {3}
    assert {known_version(record.data) for record in corrections} == {3}
    reports = sum(version == 3 for version in versions.values()) * ROUGH.events / ROUGH.devices
    assert len(corrections) == pytest.approx(0.3 * reports, rel=0.2)


def test_corrections_leave_the_other_records_as_they_are() -> None:
    others = [record for record in records(CORRECTED) if record.kind != "correction"]
    assert others == records(ROUGH)


@pytest.mark.parametrize("schema", ["1", "2", "3", "mixed"])
def test_every_poison_is_rejected_for_its_reason(schema: str) -> None:
    poison = [record for record in records(msgspec.structs.replace(ROUGH, schema=schema)) if record.kind == "poison"]
    assert {record.reason for record in poison} == {reason for reason, _ in POISONS}
    for record in poison:
        with pytest.raises(RejectedEvent) as rejected:
            decode(record.data, START + HOUR)
        assert rejected.value.reason == record.reason


def test_the_oracle_counts_what_was_generated() -> None:
    made = records(ROUGH)
    log = [LogRecord(r.data, START + HOUR, r.partition_key, "shard-0", str(n)) for n, r in enumerate(made)]
    reckoning = fold(log, {"1m": 60_000}, HOUR, {})
    kinds = Counter(record.kind for record in made)
    assert (reckoning.accepted, reckoning.duplicates) == (kinds["event"], kinds["duplicate"])
    assert reckoning.rejected == Counter(record.reason for record in made if record.reason)
    assert Reason.TOO_LATE not in reckoning.rejected


@pytest.mark.parametrize(("schema", "versions"), [("1", {1}), ("2", {2}), ("3", {3}), ("mixed", {1, 2, 3})])
def test_schema_versions(schema: str, versions: set[int]) -> None:
    made = records(Spec(events=100, devices=10, schema=schema))
    assert {record.data[:10] for record in made} == {header(version) for version in versions}


def test_a_time_is_taken_only_when_its_event_is_due() -> None:
    taken: list[int] = []

    def clock() -> int:
        taken.append(START + len(taken))
        return taken[-1]

    stream = generate_at(Spec(events=10, devices=1), iter(clock, None), device_interval_ms=1)
    next(stream)
    assert len(taken) == 1


def test_spread_has_one_time_an_event() -> None:
    assert list(spread(4, 100, 8)) == [100, 102, 104, 106]


def test_all_that_is_wrong_with_a_spec_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        Spec(events=0, devices=-1, duplicates=1.5, out_of_order=-0.1, poison=float("nan"), schema="4", corrections=2)
    assert [problem.split()[0] for problem in error.value.problems] == [
        "--events",
        "--devices",
        "--duplicates",
        "--out-of-order",
        "--poison",
        "--corrections",
        "--schema-version",
    ]
