"""The patience of a job's writer, with a clock that only moves when it sleeps."""

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from threading import Event

import pytest

from telefold.connectors.memory import MemoryViews
from telefold.connectors.retry_policy import RetryPolicy
from telefold.connectors.view_writer import NoRoom, PartlyWritten, ViewStores
from telefold.schemas.errors import StoreFull, StoreRefused, StoreUnavailable
from telefold.schemas.view_rows import Destination, ViewUpdate
from telefold.schemas.view_stores import Refused, WriteResult

ROWS = [ViewUpdate("latest", "device#1", f"latest#{n}", 5, {"value": n}) for n in range(4)]


class Troubled(MemoryViews):
    """A memory store that meets `troubles`, one a write, before it works."""

    def __init__(self, troubles: Iterable[Exception]) -> None:
        super().__init__()
        self._troubles = iter(troubles)
        self.asked: list[int] = []
        self.asked_partitions: list[str] = []

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        self.asked.append(len(updates))
        self.asked_partitions += [update.partition for update in updates]
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
    return ViewStores(
        {"DynamoDB": durable, "Redis": fast}, RetryPolicy(on_retry=on_retry, sleep=clock.sleep, clock=clock)
    )


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
    assert len(list(groupby(fast.asked_partitions))) == 7


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
    writer = ViewStores({"DynamoDB": durable}, RetryPolicy(on_retry=lambda store: stopping.set(), stopping=stopping))
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


OWNED = [
    ("latest", "device#1", "latest#t"),
    ("rollups", "device#1", "rollup#1m#t#2026"),
    ("rollups", "fleet#site#berlin", "rollup#1m#t#2026"),
    ("presence", "device#a#b}{\n☃", "presence"),
    ("presence", "device#1", "presence#outage#5"),
    ("fleet", "fleet#all", "fleet"),
    ("fleet", "fleets", "fleet#site#berlin"),
    ("alert", "alerts", "alert#hot#1"),
    ("mileage", "by-depot_1", "mileage#1"),
    ("telefold", "device#1", "telefold"),
]
NOT_OWNED = [
    ("presence", "telefold", "presence"),
    ("presence", "telefold#rules", "presence"),
    ("rules", "telefold#rules", "rules"),
    ("presence", "g2/device#1", "presence"),
    ("latest", "g2/device#1", "latest#t"),
    ("presence", "device", "presence"),
    ("presence", "device#", "presence"),
    ("presence", "fleet", "presence"),
    ("presence", "fleet#", "presence"),
    ("presence", "Device#1", "presence"),
    ("presence", "alerts#1", "presence"),
    ("presence", "alerts\n", "presence"),
    ("presence", "a" * 64, "presence"),
    ("presence", "", "presence"),
    ("latest", "alerts", "latest#t"),
    ("rollups", "alerts", "rollup#1m#t#2026"),
    ("rollups", "fleets", "rollup#1m#t#2026"),
    ("latest", "fleet#all", "latest#t"),
    ("latest", "device#1", "rollup#1m#t#2026"),
    ("rollups", "device#1", "latest#t"),
    ("presence", "device#1", "latest#t"),
    ("presence", "device#1", "presences"),
    ("presence", "fleet#all", "fleet"),
    ("", "device#1", "presence"),
]


@pytest.mark.parametrize(("view", "partition", "sort"), OWNED)
def test_a_fold_writes_its_own_rows(view: str, partition: str, sort: str) -> None:
    views = MemoryViews()
    assert ViewStores({"DynamoDB": views}).write([ViewUpdate(view, partition, sort, 1, {})]) == WriteResult(1, 0)
    assert views.get(partition, sort) is not None


@pytest.mark.parametrize(("view", "partition", "sort"), NOT_OWNED)
def test_what_is_the_bookkeepings_another_generations_or_another_views_is_written_nowhere(
    view: str, partition: str, sort: str
) -> None:
    durable, fast = MemoryViews(), MemoryViews()
    forged = ViewUpdate(view, partition, sort, 1, {})
    result = ViewStores({"DynamoDB": durable, "Redis": fast}).write([*ROWS, forged])
    assert result.written == len(ROWS)
    assert [one.row for one in result.refused] == [forged]
    for views in (durable, fast):
        assert views.get(partition, sort) is None
        assert len(views.range("device#1", "latest#")) == len(ROWS)


class Choosy(MemoryViews):
    """A store with a limit that only it knows."""

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        result = super().write([update for update in updates if update.sort != "latest#2"])
        refused = tuple(Refused(update, "new") for update in updates if update.sort == "latest#2")
        return result._replace(refused=refused)


def test_what_the_durable_store_refuses_the_fast_one_is_not_given() -> None:
    durable, fast = Choosy(), MemoryViews()
    result = ViewStores({"DynamoDB": durable, "Redis": fast}).write(ROWS)
    assert result == WriteResult(3, 0, refused=(Refused(ROWS[2], "new"),))
    assert fast.range("device#1") == durable.range("device#1")
    assert len(fast.range("device#1")) == 3


def test_the_durable_store_may_not_be_full() -> None:
    durable, fast = Troubled([NoRoom("full", WriteResult(0, 0), ROWS)]), Troubled([])
    with pytest.raises(StoreFull):
        stores(durable, fast, Clock()).write(ROWS)
    assert fast.asked == []


def test_rows_that_a_full_fast_store_lacks_are_counted_those_that_it_took_are_not() -> None:
    durable, fast = Troubled([]), Troubled([NoRoom("full", WriteResult(3, 0), ROWS[3:])])
    writer = stores(durable, fast, Clock())
    assert writer.write(ROWS) == WriteResult(4, 0, not_in_cache=1)
    assert writer.write(ROWS) == WriteResult(4, 0)


def test_the_log_tells_of_a_full_store_once_a_minute_and_what_to_do_once_it_has_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, full = Clock(), [NoRoom("full", WriteResult(0, 0), ROWS[:1])]
    writer = ViewStores({"DynamoDB": MemoryViews(), "Redis": Troubled(full * 130)}, clock=clock)
    for _ in range(131):
        writer.write(ROWS[:1])
        clock.now += 1
    assert [record.getMessage() for record in caplog.records] == [
        *(f"Redis is full, rows go on into the durable store alone, {n} so far: full" for n in (1, 61, 121)),
        "Redis has room again, and lacks what up to 130 writes of rows held: run `telefold refill`",
    ]


def sent(n: int, to: Destination, version: int = 5) -> ViewUpdate:
    return ViewUpdate("latest", "device#1", f"latest#{n}", version, {"value": n}, to=to)


def kept(store: MemoryViews) -> dict[str, int]:
    return {row.sort: row.version for row in store.range("device#1")}


def test_each_row_goes_to_the_stores_that_it_is_for() -> None:
    durable, fast = Troubled([]), Troubled([])
    rows = [sent(1, "fast"), sent(2, "both"), sent(3, "durable"), sent(4, "fast", 7), sent(4, "durable", 6)]
    result = stores(durable, fast, Clock()).write(rows)
    assert kept(fast) == {"latest#1": 5, "latest#2": 5, "latest#4": 7}
    assert kept(durable) == {"latest#2": 5, "latest#3": 5, "latest#4": 6}
    assert (result.written, result.stale) == (5, 0)


def test_a_refused_row_is_not_told_again_when_it_is_due() -> None:
    bad = [ViewUpdate("latest", "fleet#all", "latest#1", 1, {"value": 1}, to=to) for to in ("fast", "both", "durable")]
    result = stores(Troubled([]), Troubled([]), Clock()).write(bad)
    assert [one.row for one in result.refused] == bad[:2]


class Emptied:
    """A healing that has something to heal, or not."""

    def __init__(self, lost: bool) -> None:
        self.lost = lost

    def look(self) -> bool:
        return self.lost

    def close(self) -> None:
        """Close nothing."""


@pytest.mark.parametrize("lost", [True, False])
def test_a_copy_that_has_lost_its_rows_is_given_what_is_for_the_first_store(lost: bool) -> None:
    durable, fast = MemoryViews(), MemoryViews()
    writer = ViewStores({"DynamoDB": durable, "Redis": fast}, healing=Emptied(lost))
    result = writer.write([sent(1, "durable"), sent(2, "fast")])
    assert kept(durable) == {"latest#1": 5}
    assert kept(fast) == ({"latest#1": 5} if lost else {}) | {"latest#2": 5}
    assert (result.written, result.stale) == (2, 0)
