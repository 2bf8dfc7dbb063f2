"""A batch of what happens to a device, taken on by one fold: all of it or, where it fails, all but what it fails on.

Pure, and total: whatever a fold raises, and whatever state it makes, is told as a failure of the one event or moment
that it is of; the state goes on as if that had not been.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from telefold.operators.folds.fold import Clock
from telefold.operators.folds.fold_run import FoldRun, Snapshot
from telefold.operators.folds.groups import Contributed
from telefold.operators.folds.state_codec import ChangedState, StateCodec, StoredState, WrongCode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate

State = TypeVar("State")

FORGOTTEN_STATE_KEPT_MS = 14 * 86_400_000
"""How long the state of a forgotten device is held, so that its rows are gone before their versions begin anew."""


class Due(NamedTuple):
    """The fold's clock has come to `at`, for which its timer was set."""

    at: int


class Silent(NamedTuple):
    """The time of the log has come to `at`, for which the timer was set that asks whether to forget the device."""

    at: int


class Judged(NamedTuple):
    """Rules have come into force by `at`, to which the time of the log has come."""

    at: int


Happening = DeviceEvent | Due | Silent | Judged


class Failure(NamedTuple):
    """A happening that a fold failed on, and what it raised."""

    happening: Happening
    error: Exception


class Taken(NamedTuple, Generic[State]):
    """The outcome of a batch."""

    kept: StoredState[State] | None
    """The state after the batch; None if none of the device is to be kept."""
    text: str | None
    """The text of `kept`, as `StateCodec` writes it."""
    updates: Sequence[ViewUpdate] = ()
    contributions: Sequence[Contributed] = ()
    failures: Sequence[Failure] = ()
    armed: Sequence[tuple[Clock, int]] = ()
    """Timers that are to be set: clock and time."""


def take(
    codec: StateCodec[State], key: str, text: str | None, happened: Sequence[Happening], retention_ms: int | None
) -> Taken[State]:
    """Take what `happened`, in its order, on to the state that `text` has, or to the first one where there is none.

    Of a device of which nothing is known only events are taken. A timer that fired is set anew if it is to be, but not
    after a failure, which would repeat itself at once. Raises WrongCode if it is the code that does not fit the state.
    A state of an older version whose upcast fails is left as it is, but for timers that fired.
    """
    try:
        before = None if text is None else codec.read(text)
    except (WrongCode, MemoryError):
        raise
    except Exception as error:
        return _unread(codec, text or "", happened, retention_ms, error)
    before = _disarmed(before, happened)
    try:
        return _at_once(codec, key, before, happened, retention_ms)
    except MemoryError:
        raise
    except Exception:
        return _one_by_one(codec, key, None if text is None else codec.read(text), happened, retention_ms)


def _unread(
    codec: StateCodec[State], text: str, happened: Sequence[Happening], retention_ms: int | None, error: Exception
) -> Taken[State]:
    if codec.is_current(text):
        fold = codec.fold
        raise ChangedState(
            f"no state of {fold.name} of version {fold.state_version} can be read by this code: raise state_version"
            f" with every change of its fields ({error})"
        ) from error
    failures = [Failure(one, error) for one in happened if not isinstance(one, Judged)]
    armed: list[tuple[Clock, int]] = []
    for one in happened:
        if isinstance(one, Due | Silent):
            text, armed = _put_off(codec, text, armed, one, retention_ms)
    return Taken(None, text, (), (), failures, armed)


def _disarmed(kept: StoredState[State] | None, happened: Iterable[Happening]) -> StoredState[State] | None:
    """Remove the timers that have fired."""
    if kept is None:
        return None
    for one in happened:
        if type(one) is Due:
            kept = kept._replace(timer=None)
        elif type(one) is Silent:
            kept = kept._replace(end=None)
    return kept


def _at_once(
    codec: StateCodec[State],
    key: str,
    before: StoredState[State] | None,
    happened: Sequence[Happening],
    retention_ms: int | None,
) -> Taken[State]:
    """Take all that happened in one go; raises whatever the fold does, and if the state could not be read again."""
    if before is None and not any(isinstance(one, DeviceEvent) for one in happened):
        return Taken(None, None)
    steps = FoldRun(codec.fold, key, None if before is None else before.held, retention_ms)
    for one in happened:
        _step(steps, one)
    held = steps.held
    timer, end = (None, None) if before is None else (before.timer, before.end)
    due = steps.wake_at if held.last is not None else None
    if due is not None and (timer is None or due < timer):
        timer = due
    kept = StoredState(held, timer, _end(held, end, happened, retention_ms))
    text = codec.text(kept)
    codec.check(text)
    armed: list[tuple[Clock, int]] = []
    if timer is not None and (before is None or timer != before.timer):
        armed.append((codec.fold.clock, timer))
    if kept.end is not None and (before is None or kept.end != before.end):
        armed.append(("arrival", kept.end))
    return Taken(kept, text, [*steps.updates()], steps.contributions, (), armed)


def _step(steps: FoldRun[Any], happening: Happening) -> None:
    match happening:
        case DeviceEvent():
            steps.fold(happening)
        case Due(at):
            steps.advance(at)
        case Silent(at):
            steps.be_silent_until(at)
        case Judged(at):
            steps.judge(at)


def _end(held: Snapshot[Any], end: int | None, happened: Iterable[Happening], retention_ms: int | None) -> int | None:
    """One timer is enough for a device that goes on reporting: it is set anew when it has fired.

    One that comes back after it was forgotten has one that is too late: that of when its state was to go.
    """
    if retention_ms is None:
        return end
    if held.last is not None:
        due = held.last + retention_ms
        return due if end is None or due < end else end
    if end is not None:
        return end
    return next((one.at + FORGOTTEN_STATE_KEPT_MS for one in happened if isinstance(one, Silent)), None)


def _one_by_one(
    codec: StateCodec[State],
    key: str,
    before: StoredState[State] | None,
    happened: Sequence[Happening],
    retention_ms: int | None,
) -> Taken[State]:
    """Take each alone. Each step begins with a state that was written and read: nothing is left of a failed one."""
    before = _disarmed(before, happened)
    text = None if before is None else codec.text(before)
    updates: dict[tuple[str, str], ViewUpdate] = {}
    contributions: list[Contributed] = []
    failures: list[Failure] = []
    armed: list[tuple[Clock, int]] = []
    for one in happened:
        kept = None if text is None else codec.read(text)
        try:
            taken = _at_once(codec, key, kept, [one], retention_ms)
        except MemoryError:
            raise
        except Exception as error:
            failures.append(Failure(one, error))
            continue
        text = taken.text
        contributions += taken.contributions
        armed += taken.armed
        updates |= {(update.partition, update.sort): update for update in taken.updates}
    for failure in failures:
        if text is not None and isinstance(failure.happening, Due | Silent):
            text, armed = _put_off(codec, text, armed, failure.happening, retention_ms)
    kept = None if text is None else codec.read(text)
    return Taken(kept, text, list(updates.values()), contributions, failures, armed)


def _put_off(
    codec: StateCodec[Any],
    text: str,
    armed: Sequence[tuple[Clock, int]],
    failed: Due | Silent,
    retention_ms: int | None,
) -> tuple[str, list[tuple[Clock, int]]]:
    """Put off what would at once be due again; whether to forget the device is asked when as much time has passed."""
    timer, end, _ = codec.timers(text)
    later = [(clock, at) for clock, at in armed if at > failed.at]
    if timer is not None and timer <= failed.at:
        timer = None
    if isinstance(failed, Silent) and retention_ms is not None:
        end = failed.at + retention_ms
        later.append(("arrival", end))
    return codec.with_timers(text, timer, end), later
