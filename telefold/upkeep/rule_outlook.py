"""Outlook of a rule among the devices now, by the rows that there are, before it is put or right after."""

import difflib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.operators.alerts.condition import DEVICE, Condition, parse
from telefold.schemas.view_rows import ViewRow, latest_sort

DEVICES_LOOKED_AT = 500
"""How many devices `rules put` looks at; `rules try` looks at all."""
_NAMES_SHOWN = 5
_ATTRIBUTE = "attribute."
_PRESENCE_OF = "presence#metric#"


class Shown(NamedTuple):
    """The state of one device, as rows show it."""

    readings: Mapping[str, tuple[float, int]]
    """The newest value of each metric and its time, in epoch milliseconds."""
    attributes: Mapping[str, str] | None = None
    """The attributes; None where there is no row that has them."""
    reported: int | None = None
    """The time at which it reported last, or was registered if it has not yet, in epoch milliseconds."""
    is_retired: bool = False
    online: frozenset[str] = frozenset()
    """The metrics that it reports as often as it should, by the rows of presence; "" for the device."""

    @classmethod
    def by(cls, rows: Iterable[ViewRow]) -> "Shown":
        readings, attributes, reported, is_retired = dict[str, tuple[float, int]](), None, None, False
        registered, online = None, set[str]()
        for row in rows:
            data: Any = row.data
            if row.sort.startswith(latest_sort("")):
                readings[row.sort.removeprefix(latest_sort(""))] = float(data["value"]), int(data["at"])
            elif row.sort == "device":
                is_retired |= data.get("status") == "retired"
                registered = data.get("registered_at")
                attributes = {
                    name.removeprefix(_ATTRIBUTE): str(value)
                    for name, value in data.items()
                    if name.startswith(_ATTRIBUTE)
                }
                if "firmware" in data:
                    attributes["firmware"] = str(data["firmware"])
            elif row.sort == "presence":
                reported = data.get("last_report_at")
                is_retired |= data.get("status") == "retired"
            if data.get("status") == "online" and (row.sort == "presence" or row.sort.startswith(_PRESENCE_OF)):
                online.add(row.sort.removeprefix("presence").removeprefix("#metric#"))
        if reported is None:
            reported = max((at for _, at in readings.values()), default=registered)
        return cls(readings, attributes, reported, is_retired, frozenset(online))


class Breaking(NamedTuple):
    """A device that breaks a rule."""

    device: str
    value: float | None
    """The device's newest reading; None for staleness."""
    at: int
    """The time of the reading, or of the last report, in epoch milliseconds."""


class Outlook(NamedTuple):
    """The devices that a rule would find now among those that were looked at."""

    devices: int
    """How many devices the rule means."""
    having: int
    """How many of them have sent its metric."""
    breaking: Sequence[Breaking] = ()
    """The devices that break it now; a rate or an increase cannot be told from the rows of readings."""
    meant: tuple[str, ...] = ()
    """Names of metrics like the rule's, or else some that there are, where no device has sent its metric."""
    unknown: int = 0
    """Devices whose attributes no row has, so that nobody knows whether it means them."""

    @classmethod
    def of(cls, condition: Condition, shown: Iterable[tuple[str, Shown]], now: int) -> "Outlook":
        devices = having = unknown = 0
        breaking, names, metric = list[Breaking](), set[str](), condition.metric
        for device, one in shown:
            if not _means_by_id(condition, device) or one.is_retired:
                continue
            if one.attributes is None and any(match.name != DEVICE for match in condition.scope):
                unknown += 1
            elif not _means_by_attributes(condition, one.attributes or {}):
                continue
            devices += 1
            having += metric is None or metric in one.readings
            names.update(one.readings)
            if (found := _breaks(condition, device, one, now)) is not None:
                breaking.append(found)
        near: tuple[str, ...] = ()
        if metric is not None and not having:
            known = sorted(names)
            near = tuple(difflib.get_close_matches(metric, known, n=_NAMES_SHOWN) or known[:_NAMES_SHOWN])
        return cls(devices, having, tuple(sorted(breaking)), near, unknown)


def outlook(
    settings: Settings,
    condition: str,
    most: int | None = DEVICES_LOOKED_AT,
    looked_at: Callable[[int], None] = lambda devices: None,
) -> Outlook:
    """The outlook by the rows of at most so many devices in Redis; raises BadRule if the condition cannot be read.

    `looked_at` is called now and then with how many were looked at.
    """
    read = parse(condition)

    def told() -> Iterable[tuple[str, Shown]]:
        for number, (device, rows) in enumerate(islice(stores.rows_of_devices(settings), most)):
            if number % 100 == 0:
                looked_at(number)
            yield device, Shown.by(rows)

    return Outlook.of(read, told(), time.time_ns() // 1_000_000)


def _means_by_id(condition: Condition, device: str) -> bool:
    return all(match.holds(device) for match in condition.scope if match.name == DEVICE)


def _means_by_attributes(condition: Condition, attributes: Mapping[str, str]) -> bool:
    return all(match.holds(attributes.get(match.name)) for match in condition.scope if match.name != DEVICE)


def _breaks(condition: Condition, device: str, one: Shown, now: int) -> Breaking | None:
    metric = condition.metric
    if condition.kind == "stale":
        last = None if (metric or "") in one.online else _last_heard(one, metric)
        return Breaking(device, None, last) if last is not None and now - last >= condition.bound.limit else None
    if condition.kind == "value" and metric is not None and metric in one.readings:
        value, at = one.readings[metric]
        return Breaking(device, value, at) if condition.bound.holds(value) else None
    return None


def _last_heard(one: Shown, metric: str | None) -> int | None:
    """The time of the last report of `metric`, or of anything; a device without readings counts for every metric."""
    if metric is not None and one.readings:
        return one.readings[metric][1] if metric in one.readings else None
    return one.reported
