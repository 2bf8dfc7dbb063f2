"""The one line that says how a device is, before all of its rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from telefold.cli.tables import duration_text, number, printable, time_text
from telefold.schemas.view_rows import Data, ViewRow
from telefold.views.rollups import metrics_of

_DEVICE, _PRESENCE = "device", "presence"
_TIMES_OF_EVENTS: Mapping[str, str] = {"latest": "at", "rollup": "last_at", _DEVICE: "last_seen_at"}
"""The field that has the time of the newest event, by how sort keys begin."""


def headline(device_id: str, rows: Sequence[ViewRow], now: int, metric: str | None = None) -> str:
    """What `rows` tell of whether it is online, its life, how many metrics it has and its newest event, seen at `now`.

    With a `metric` they are of that one alone, so that nothing tells how many there are.
    """
    by_key = {row.sort: row.data for row in rows}
    parts = [
        *_status(by_key.get(_PRESENCE, {}), by_key.get(_DEVICE, {}), now),
        *_metrics(rows, metric),
        *_newest(rows, now),
    ]
    return printable(f"{device_id}: {', '.join(parts)}" if parts else device_id)


def ago(at: int, now: int) -> str:
    """A time, and how long before `now` it was; ahead of it no more than a clock that runs fast."""
    return f"{time_text(at)} UTC ({duration_text(max(0, now - at) // 1_000 * 1_000)} ago)"


def _status(presence: Data, device: Data, now: int) -> Iterator[str]:
    status, life = presence.get("status"), device.get("status")
    if isinstance(since := presence.get("since_at"), int):
        yield f"{status} since {ago(since, now)}"
    if life != status and isinstance(at := device.get(f"{life}_at"), int):
        yield f"{life} {time_text(at)} UTC"


def _metrics(rows: Sequence[ViewRow], metric: str | None) -> Iterator[str]:
    if metric is None and (count := len(metrics_of(rows))):
        yield f"{number(count)} metric{'s' if count > 1 else ''}"


def _newest(rows: Sequence[ViewRow], now: int) -> Iterator[str]:
    if at := max(_event_times(rows), default=None):
        yield f"newest event {ago(at, now)}"


def _event_times(rows: Sequence[ViewRow]) -> Iterator[int]:
    for row in rows:
        field = _TIMES_OF_EVENTS.get(row.sort.partition("#")[0], "")
        if field in row.data:
            yield int(cast(float, row.data[field]))
