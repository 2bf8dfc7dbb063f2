"""The patience of a job's writer, with a clock that only moves when it sleeps."""

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from threading import Event

import pytest

from connectors.memory import MemoryViews
from connectors.patience import Patience
from connectors.view_writer import PartlyWritten, ViewStores
from schemas.errors import StoreRefused, StoreUnavailable
from schemas.view_rows import ViewUpdate
from schemas.view_stores import WriteResult

ROWS = [ViewUpdate("latest", "device#1", f"latest#{n}", 5, {"value": n}) for n in range(4)]


class Troubled(MemoryViews):
    """A memory store that meets `troubles`, one a write, before it works."""

    def __init__(self, troubles: Iterable[Exception]) -> None:
        super().__init__()
        self._troubles = iter(troubles)
        self.asked: list[int] = []
        self.partitions: list[str] = []

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        self.asked.append(len(updates))
        self.partitions += [update.partition for update in updates]
        trouble = next(self._troubles, None)
        if trouble is not None:
            raise trouble
        return super().write(updates)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


def away(times: int) -> list[Exception]:
    return [StoreUnavailable("no answer")] * times


def stores(durable: Troubled, fast: Troubled, clock: Clock, on_retry: Callable[[str], None] = print) -> ViewStores:
    return ViewStores({"DynamoDB": durable, "Redis": fast}, Patience(on_retry=on_retry, sleep=clock.sleep, clock=clock))


def test_both_stores_have_the_rows_and_the_first_one_counts() -> None:
    durable, fast = Troubled([]), Troubled([])
    durable.write([ViewUpdate("latest", "device#1", "latest#0", 9, {})])
    assert stores(durable, fast, Clock()).write(ROWS) == WriteResult(written=3, stale=1)
    assert len(durable.range("device#1")) == len(fast.range("device#1")) == 4


def test_the_fast_store_waits_until_the_durable_one_has_the_rows() -> None:
    durable, fast = Troubled(away(3)), Troubled([])
    waited: list[int] = []
    stores(durable, fast, Clock(), on_retry=lambda store: waited.append(len(fast.asked))).write(ROWS)
    assert waited == [0, 0, 0]
    assert fast.asked == [4]


def test_a_large_batch_goes_in_parts_and_the_rows_of_a_partition_together() -> None:
    mixed = [ViewUpdate("latest", f"device#{n % 7}", f"latest#{n}", 5, {}) for n in range(1_000)]
    durable, fast = Troubled([]), Troubled([])
    assert stores(durable, fast, Clock()).write(mixed) == WriteResult(written=1_000, stale=0)
    assert len(durable.asked) > 1
    assert durable.asked == fast.asked
    assert len(list(groupby(fast.partitions))) == 7


def test_each_further_attempt_is_counted_by_store() -> None:
    retried: list[str] = []
    stores(Troubled(away(2)), Troubled(away(1)), Clock(), on_retry=retried.append).write(ROWS)
    assert retried == ["DynamoDB", "DynamoDB", "Redis"]


def test_pauses_grow_to_ten_seconds_and_no_further() -> None:
    clock = Clock()
    stores(Troubled(away(400)), Troubled([]), clock).write(ROWS)
    assert len(clock.pauses) == 400
    assert max(clock.pauses[:3]) < 1
    assert 8 < max(clock.pauses) <= 10
    assert len(set(clock.pauses)) > 300


def test_only_unwritten_rows_are_tried_again_and_all_are_counted() -> None:
    durable = Troubled([PartlyWritten("throttled", WriteResult(2, 1), ROWS[3:])])
    assert stores(durable, Troubled([]), Clock()).write(ROWS) == WriteResult(written=3, stale=1)
    assert durable.asked == [4, 1]


def test_a_refusal_is_raised_at_once() -> None:
    durable, fast, clock = Troubled([StoreRefused("no such table")]), Troubled([]), Clock()
    with pytest.raises(StoreRefused, match="no such table"):
        stores(durable, fast, clock).write(ROWS)
    assert (clock.pauses, fast.asked) == ([], [])


def test_waiting_ends_when_the_job_stops() -> None:
    stopping = Event()
    durable = Troubled(away(1_000_000))
    writer = ViewStores({"DynamoDB": durable}, Patience(on_retry=lambda store: stopping.set(), stopping=stopping))
    with pytest.raises(StoreUnavailable, match="no answer"):
        writer.write(ROWS)
    assert len(durable.asked) == 2


def test_the_log_tells_of_an_outage_once_then_every_ten_seconds_and_of_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO):
        stores(Troubled(away(60)), Troubled([]), clock).write(ROWS)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings[0] == "DynamoDB is unavailable, trying again until it is back: no answer"
    assert all("DynamoDB has been unavailable for" in line for line in warnings[1:])
    assert clock.now / 20 - 2 < len(warnings) < clock.now / 10 + 2
    assert caplog.records[-1].getMessage().startswith("DynamoDB is back after")


def test_a_store_that_works_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        stores(Troubled([]), Troubled([]), Clock()).write(ROWS)
    assert not caplog.records
