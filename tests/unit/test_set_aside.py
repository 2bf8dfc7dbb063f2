"""Letters of what failed behind the decoder are read back as other dead letters are."""

from collections.abc import Iterator

import msgspec
import pytest

from telefold.connectors import dead_letters
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import NewRecord
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.set_aside import Letter, bad_rule, fold_failed, row_refused
from telefold.schemas.view_rows import ViewUpdate
from tests.support.stand_in import stand_in

EVENT = DeviceEvent("e-1", "d-1", "telemetry", 1_000, 1, {"t": 1.5}, {}, "cause-1")
ROW = ViewUpdate("alert", "device#d-1", "alert#hot", 7, {"by": "x" * 1_500_000})


def test_an_event_that_a_fold_failed_on_is_read_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    (letter,) = _read(monkeypatch, fold_failed("mileage", EVENT, "ValueError: no", 5))
    assert (letter.reason, letter.fold, letter.detail) == (Reason.FOLD_FAILED, "mileage", "ValueError: no")
    assert letter.correlation_id == "cause-1"
    assert msgspec.json.decode(letter.payload, type=DeviceEvent) == EVENT


def test_a_row_larger_than_a_record_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list(row_refused(ROW, "too large", 5))
    assert len(sent) == 3
    assert all(len(one.text) < 1_000_000 for one in sent)
    (letter,) = _read(monkeypatch, reversed(sent))
    assert (letter.reason, letter.fold) == (Reason.ROW_REFUSED, "alert")
    assert msgspec.json.decode(letter.payload, type=ViewUpdate) == ROW


def test_the_same_set_aside_twice_is_one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [*bad_rule(b"[[[", "no rule", 5), *bad_rule(b"[[[", "no rule", 9)]
    (letter,) = _read(monkeypatch, twice)
    assert (letter.reason, letter.payload) == (Reason.BAD_RULE, b"[[[")


def _read(monkeypatch: pytest.MonkeyPatch, sent: Iterator[Letter] | list[Letter]) -> list[DeadLetter]:
    records = [NewRecord(one.text.encode(), one.partition_key) for one in sent]
    monkeypatch.setattr(dead_letters, "read_stream", lambda client, stream: records)
    return list(read_dead_letters(stand_in(None), "dead"))
