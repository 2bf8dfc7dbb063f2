"""What the oracle forgets of a device that says nothing for long, and what it does not."""

from telefold.schemas.codec import encode
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.verify.oracle import Oracle, Reckoning
from tests.golden import silence
from tests.support.reckonings import HOUR, MINUTE, NOON, RETENTION, SIZES, event, hourly, row


def after_silence(*told: tuple[int, DeviceEvent]) -> Reckoning:
    """State is kept for three hours and a device for five; each event comes with its arrival."""
    oracle = Oracle(SIZES, HOUR, RETENTION, state_retention_ms=3 * HOUR, device_retention_ms=5 * HOUR)
    for number, (arrival, one) in enumerate(told):
        oracle.add(LogRecord(encode(one), NOON + arrival, one.device_id, "shard-0", str(number)))
    return oracle.reckoning()


def test_after_silence_the_windows_that_a_device_had_are_closed() -> None:
    kept = after_silence((0, event(0)), (3 * HOUR, event(MINUTE)), (6 * HOUR, event(2 * MINUTE)))
    assert kept.accepted == 3
    closed = after_silence((0, event(0)), (3 * HOUR + 1, event(HOUR - 1)), (3 * HOUR + 1, event(HOUR)))
    assert [letter.sequence_number for letter in closed.dead_letters] == ["1"]
    assert row(closed, "rollup#1h#temperature#2026-01-31T13:00:00Z").version == 1
    assert row(closed, "rollup#1h#temperature#2026-01-31T12:00:00Z").version == 1


def test_silence_is_from_the_greatest_arrival_of_what_was_accepted_or_sent_twice() -> None:
    first, last = event(0, name="a"), event(1, name="b")
    heard_last_at_2h = ((0, first), (2 * HOUR, event(0, name="c")), (HOUR, event(0, name="d")))
    assert after_silence(*heard_last_at_2h, (5 * HOUR, last)).accepted == 4
    assert after_silence((0, first), (2 * HOUR, first), (5 * HOUR, last)).accepted == 2
    too_late = event(-HOUR - 1, name="late")
    assert after_silence((0, first), (2 * HOUR, too_late), (5 * HOUR, last)).rejected == {Reason.TOO_LATE: 2}


def test_a_device_that_is_gone_begins_anew_and_what_is_newer_in_the_stores_stays() -> None:
    gone = after_silence(
        (0, event(0, 1.0, "a")),
        (1, event(1, 2.0, "b")),
        (5 * HOUR + 2, event(0, 9.0, "a")),
        (5 * HOUR + 2, event(-HOUR)),
    )
    assert (gone.accepted, gone.duplicates, gone.rejected) == (4, 0, {})
    hour = row(gone, "rollup#1h#temperature#2026-01-31T12:00:00Z")
    assert (hour.version, hour.data["sum"]) == (2, 3.0)
    assert row(gone, "rollup#1h#temperature#2026-01-31T11:00:00Z").version == 1
    assert row(gone, "latest#temperature").data == {"value": 2.0, "at": NOON + 1}
    again = after_silence(
        (0, event(0, 1.0, "a")), (5 * HOUR + 1, event(0, 5.0, "b")), (5 * HOUR + 1, event(1, 6.0, "c"))
    )
    assert row(again, "rollup#1h#temperature#2026-01-31T12:00:00Z").data["sum"] == 11.0


def test_within_the_cut_nothing_is_forgotten() -> None:
    oracle = Oracle(SIZES, HOUR, RETENTION, {"shard-0": "1"}, state_retention_ms=HOUR, device_retention_ms=HOUR)
    for number, (arrival, at) in enumerate([(0, 0), (30 * HOUR, 1), (60 * HOUR, 59 * HOUR)]):
        oracle.add(LogRecord(encode(event(at)), NOON + arrival, "d", "shard-0", str(number)))
    assert row(oracle.reckoning(), "rollup#1h#temperature#2026-01-31T12:00:00Z").version == 2


def test_counters_of_a_device_that_was_gone_begin_anew_in_every_replay() -> None:
    """Live, where it is forgotten, and within the cut; whether its clock went on meanwhile or was put back."""
    for put_back in (0, 9 * HOUR):
        at = 6 * HOUR - put_back
        told = [(0, event(0, 100.0)), (3 * HOUR, event(1, 110.0)), (8 * HOUR + 1, event(at, 150.0)),
                (8 * HOUR + 2, event(at + 1, 155.0))]  # fmt: skip
        for cut in ("0", "1", "2", "3"):
            oracle = Oracle(SIZES, HOUR, RETENTION, {"shard-0": cut}, state_retention_ms=3 * HOUR,
                            device_retention_ms=5 * HOUR)  # fmt: skip
            for number, (arrival, one) in enumerate(told):
                oracle.add(LogRecord(encode(one), NOON + arrival, "d", "shard-0", str(number)))
            assert set(hourly(oracle.reckoning(), "increase")) == {10.0, 5.0}
            oracle.add(LogRecord(encode(event(at + 2, name="next")), NOON + 8 * HOUR + 3, "d", "shard-0", "4"))
            assert oracle.reckoning().accepted == 5


def test_the_jvm_folds_the_log_of_silences_as_this_does() -> None:
    """JUnit's `DeviceFoldSilenceTest` reads that file; `python -m tests.golden.silence` writes it."""
    assert silence.GOLDEN.read_bytes() == silence.golden()
    assert silence.reckoning().rejected[Reason.TOO_LATE] > 100


def test_the_log_of_silences_has_some_that_matter() -> None:
    """Without them other events would be accepted: after silence more are late, and of devices that are gone fewer."""
    oracle = Oracle(silence.CASE.sizes, silence.LATENESS, silence.CASE.retention)
    for record in silence.log():
        oracle.add(record)
    forever, found = oracle.reckoning(), silence.reckoning()
    assert {one.position for one in found.dead_letters} - {one.position for one in forever.dead_letters}
    assert {one.position for one in forever.dead_letters} - {one.position for one in found.dead_letters}
