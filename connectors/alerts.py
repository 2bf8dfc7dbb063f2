"""Transitions of alerts on their way out: to a Kinesis stream and to a Redis channel, each once."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from telefold.connectors import event_log
from telefold.connectors.event_log import NewRecord
from telefold.connectors.redis_views import RedisChannel
from telefold.connectors.retry_policy import RetryPolicy
from telefold.schemas.alerts import CHANNEL, AlertTransition, transitions
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import ViewReader, ViewWriter, WriteResult

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_MARKS = "telefold#told"
_MARKS_NAME = "the table's account of alerts told"
_DAY_S = 86_400
_MARKS_KEPT_S = 400 * _DAY_S
"""Longer than the 365 days that a stream can keep records: of all that a job that begins anew reads there are marks."""
_TOLD_FOR_S = 390 * _DAY_S
"""Shorter than that, by more than a device's clock may be ahead: of what is older no mark need be there any more."""
_REMEMBERED = 10_000
_LOOKUPS_AT_ONCE = 8


class Outlet(Protocol):
    """A place to publish transitions; raises StoreUnavailable or StreamUnavailable where trying again can help."""

    @property
    def name(self) -> str:
        """The name that the log calls it by."""
        ...

    def tell(self, told: Sequence[AlertTransition]) -> None: ...

    def close(self) -> None: ...


class StreamOutlet:
    """Writes each as JSON to a Kinesis stream, those of a device in their order."""

    name = "the stream of alerts"

    def __init__(self, client: "KinesisClient", stream: str) -> None:
        self._client = client
        self._stream = stream

    def tell(self, told: Sequence[AlertTransition]) -> None:
        messages = [NewRecord(msgspec.json.encode(one), one.device_id) for one in told]
        for batch in event_log.batches(messages):
            event_log.append(self._client, self._stream, batch)

    def close(self) -> None:
        self._client.close()


class ChannelOutlet:
    """Publishes each as JSON on a Redis channel, for whoever listens at that moment."""

    name = "the channel of alerts"

    def __init__(self, channel: RedisChannel) -> None:
        self._channel = channel

    def tell(self, told: Sequence[AlertTransition]) -> None:
        self._channel.publish(CHANNEL, [msgspec.json.encode(one) for one in told])

    def close(self) -> None:
        self._channel.close()


class PublishedMarks:
    """Remembers in the durable store, outside of all generations, for 400 days, which transitions were published.

    What came about so long ago that its mark may have expired counts as published.
    """

    def __init__(self, reader: ViewReader, writer: ViewWriter, clock: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._recent: dict[str, None] = {}
        self._lookups = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "marks")

    def without(self, told: Iterable[AlertTransition]) -> list[AlertTransition]:
        """The transitions that were not published yet."""
        oldest = (self._clock() - _TOLD_FOR_S) * 1_000
        unknown = [one for one in told if one.id not in self._recent and one.at >= oldest]
        marks = self._lookups.map(lambda one: self._reader.get(*_place(one)), unknown)
        return [one for one, mark in zip(unknown, marks, strict=True) if mark is None]

    def add(self, told: Sequence[AlertTransition]) -> None:
        expires_at = int(self._clock()) + _MARKS_KEPT_S
        marks = [ViewUpdate("told", *_place(one), one.at, {}, expires_at) for one in told]
        self._writer.write(marks)
        if len(self._recent) > _REMEMBERED:
            self._recent.clear()
        self._recent.update(dict.fromkeys(one.id for one in told))

    def close(self) -> None:
        self._lookups.shutdown()
        self._reader.close()
        self._writer.close()


class PublishingWriter:
    """A ViewWriter that, once rows are in the stores, publishes the transitions of alerts among them.

    A transition is published everywhere before it is marked, so a crash in between publishes it again with its id; a
    replay that comes after the mark, or a job that begins anew, does not. Outages are waited out as the stores' are.
    """

    def __init__(
        self,
        writer: ViewWriter,
        marks: PublishedMarks,
        outlets: Sequence[Outlet],
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._writer = writer
        self._marks = marks
        self._outlets = outlets
        self._retry_policy = retry_policy or RetryPolicy()

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        result = self._writer.write(updates)
        if result.refused:
            refused = {id(one.row) for one in result.refused}
            updates = [update for update in updates if id(update) not in refused]
        changed = _in_order(updates)
        return result._replace(told=self._tell(changed)) if changed else result

    def _tell(self, changed: Sequence[AlertTransition]) -> int:
        distinct = {one.id: one for one in changed}
        fresh = self._retry_policy.retry_until_available(_MARKS_NAME, lambda: self._marks.without(distinct.values()))
        if fresh:
            for outlet in self._outlets:
                self._retry_policy.retry_until_available(outlet.name, partial(outlet.tell, fresh))
            self._retry_policy.retry_until_available(_MARKS_NAME, lambda: self._marks.add(fresh))
        return len(fresh)

    def close(self) -> None:
        self._writer.close()
        self._marks.close()
        for outlet in self._outlets:
            outlet.close()


def _in_order(updates: Iterable[ViewUpdate]) -> list[AlertTransition]:
    """List transitions in the order of time; those of a rule one after the other, whatever its clock says."""
    newest: dict[tuple[str, str], int] = {}
    timed: list[tuple[int, AlertTransition]] = []
    for update in sorted(updates, key=lambda one: one.version):
        for change in transitions(update):
            rule = change.device_id, change.rule
            newest[rule] = max(change.at, newest.get(rule, change.at))
            timed.append((newest[rule], change))
    return [change for _, change in sorted(timed, key=lambda one: one[0])]


def _place(one: AlertTransition) -> tuple[str, str]:
    return f"{_MARKS}#{one.device_id}", f"{one.rule}#{one.began_at}#{one.state}"
