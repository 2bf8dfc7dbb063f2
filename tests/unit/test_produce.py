from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from telefold.cli import produce as command
from telefold.schemas.codec import decode
from telefold.schemas.errors import SettingsError
from telefold.simulator.generator import GeneratedRecord, Spec
from telefold.simulator.produce import Tally, paced, records_to_send

NOW = 1_769_860_800_000
HOUR = 3_600_000


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def records(count: int) -> Iterator[GeneratedRecord]:
    return (GeneratedRecord(b"x", "k", "event") for _ in range(count))


def event_times(rate: float | None, start: int | None) -> list[int]:
    made = records_to_send(Spec(events=100, devices=10, seed=1), rate, start, iter(range(NOW, NOW + 1_000)).__next__)
    return [decode(record.data, NOW + HOUR).event_time for record in made]


@pytest.mark.parametrize("rate", [0.5, 10, 999, 50_000])
def test_batches_follow_the_rate(rate: float) -> None:
    time, sent = Time(), 0
    for batch in paced(records(2_000), rate, time.clock, time.sleep):
        sent += len(batch)
        assert len(batch) <= 500
        assert sent <= time.seconds * rate + 1
    assert sent == 2_000
    assert time.seconds == pytest.approx(2_000 / rate, rel=0.05, abs=0.1)


def test_batches_are_small_and_steady() -> None:
    time = Time()
    sizes = [len(batch) for batch in paced(records(1_000), 1_000, time.clock, time.sleep)]
    assert max(sizes) <= 52


def test_a_slow_stream_is_caught_up_with() -> None:
    time, sizes = Time(), []
    for batch in paced(records(2_000), 1_000, time.clock, time.sleep):
        sizes.append(len(batch))
        if len(sizes) == 2:
            time.seconds += 1
    assert 500 in sizes
    assert time.seconds == pytest.approx(2, rel=0.05)


def test_without_a_rate_events_fill_the_last_hour() -> None:
    times = event_times(None, None)
    assert (times[0], times[-1]) == (NOW - HOUR, NOW - HOUR + HOUR * 99 // 100)


def test_with_a_rate_events_happen_as_they_are_sent() -> None:
    times = event_times(10, None)
    assert all(later - earlier == 1 for earlier, later in pairwise(times))


def test_with_a_rate_and_a_start_events_are_evenly_apart() -> None:
    assert event_times(10, NOW) == [NOW + 100 * n for n in range(100)]


def test_a_tally_counts_kinds_and_time() -> None:
    time = Time()
    tally = Tally(time.clock)
    assert tally.summary()["rate"] == 0
    time.sleep(2)
    tally.add([*records(3), GeneratedRecord(b"", "k", "poison")])
    assert tally.summary() == {
        "records": 4,
        "events": 3,
        "duplicates": 0,
        "corrections": 0,
        "poison": 1,
        "seconds": 2.0,
        "rate": 2.0,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "--rate is 0.0, but must be more than 0"),
        ({"events": 0}, "events is 0"),
        ({"poison": 2.0}, "--poison is 2.0, but must be a fraction"),
        ({"schema_version": "4"}, "must be one of 1, 2, 3, mixed"),
        ({"corrections": 0.1, "schema_version": "2"}, "--schema-version 2 has none: leave it out, or use 3 or mixed"),
        ({"start": "soon"}, "start: 'soon' is no time"),
        ({"start": "10m"}, "start is 10m, but must be 1h ago"),
        ({"start": "2999-01-01", "rate": 1.0}, "must be in the past"),
        ({"stream": "events"}, "There is no properties file none.json"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sent(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        command.produce(**options, properties=Path("none.json"))


def test_ctrl_c_still_says_what_was_sent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(
        client: object, stream: str, made: Iterator[GeneratedRecord], rate: None, tally: Tally, *_: Any
    ) -> None:
        tally.add([next(made)])
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "send", interrupted)
    with pytest.raises(typer.Exit) as stop:
        command.produce(stream="events", region="us-east-1", endpoint="http://127.0.0.1:9", json=True)
    assert stop.value.exit_code == 130
    assert orjson.loads(capsys.readouterr().out)["events"] == 1
