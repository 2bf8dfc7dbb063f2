"""A device that says nothing is forgotten, and begins anew when it comes back."""

import pytest

from telefold.operators.folds.fold_run import FORGOTTEN_ROWS_KEPT_S, TIMES_AN_EVENT
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import FORGOTTEN_STATE_KEPT_MS, Judged, Silent, take
from telefold.operators.folds.testing import FoldTest
from tests.support.failing_fold import DAY_MS, KEPT_MS, Counting, Told, event


def test_a_device_that_says_nothing_is_forgotten_with_its_rows() -> None:
    told = Told()
    taken = told.take(event(1), event(2))
    assert taken.armed == [("arrival", 2 + KEPT_MS)]
    taken = told.take(Judged(1), Silent(2 + KEPT_MS))
    expires_at = (2 + KEPT_MS) // 1_000 + FORGOTTEN_ROWS_KEPT_S
    assert {(row.sort, row.expires_at) for row in taken.updates} == {("count", expires_at), ("count#all#d", expires_at)}
    assert sum(one.add["events"] for one in told.made) == 0
    assert taken.armed == [("arrival", 2 + KEPT_MS + FORGOTTEN_STATE_KEPT_MS)]
    assert told.fold.timers(told.text or "") == (None, 2 + KEPT_MS + FORGOTTEN_STATE_KEPT_MS, True)


@pytest.mark.parametrize("by_timer", [True, False])
def test_a_device_that_comes_back_begins_anew_whether_its_timer_fired_or_not(by_timer: bool) -> None:
    told = Told()
    told.take(event(1))
    version = told.rows["device#d", "count"][0]
    if by_timer:
        told.take(Judged(1), Silent(1 + KEPT_MS))
    told.take(event(2, at=1 + KEPT_MS))
    assert told.rows["device#d", "count"] == (2 * TIMES_AN_EVENT, {"events": 1, "seen": "e2", "last": 1 + KEPT_MS})
    assert told.rows["device#d", "count"][0] > version


def test_a_device_that_comes_back_is_forgotten_again_though_its_state_was_to_go_later() -> None:
    fold = StateCodec(Counting())
    text = take(fold, "d", None, [event(1)], DAY_MS).text
    gone = take(fold, "d", text, [Silent(1 + DAY_MS)], DAY_MS)
    assert gone.armed == [("arrival", 1 + DAY_MS + FORGOTTEN_STATE_KEPT_MS)]
    back = take(fold, "d", gone.text, [event(2, at=2 * DAY_MS)], DAY_MS)
    assert back.armed == [("arrival", 3 * DAY_MS)]


def test_a_device_that_reports_is_not_forgotten() -> None:
    told = Told()
    told.take(event(1))
    told.take(event(2, at=50 * DAY_MS))
    taken = told.take(Judged(1), Silent(1 + KEPT_MS))
    assert (taken.updates, taken.armed) == ([], [("arrival", 50 * DAY_MS + KEPT_MS)])


def test_the_harness_forgets_a_device() -> None:
    test = FoldTest(Counting(), "d")
    test.event(at=1_000)
    test.forget()
    assert test.rows["count"].expires_at == 1 + FORGOTTEN_ROWS_KEPT_S
    test.event(at=2_000)
    assert test.rows["count"].data["events"] == 1
