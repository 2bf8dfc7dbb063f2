"""What one store holds that is not as it must be, or that nobody but its owner may have written."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import cast

from telefold.operators.folds.event_order import iso
from telefold.operators.folds.fold_run import TIMES_AN_EVENT
from telefold.schemas.events import DeviceEvent, heard_at
from telefold.schemas.hot_rows import ALL, Hot
from telefold.schemas.view_rows import ViewRow, ViewUpdate, device_partition, is_of_a_python_fold
from telefold.verify import oracle
from telefold.verify.oracle import Key
from tests.fuzz import calm, own_fold
from tests.fuzz.log import Log
from tests.support.alerts import AlertOracle
from tests.support.folds import device_row

Rows = Mapping[Key, ViewRow]
_ALL = "fleet#all"
_CALM_GROUPS = {f"site#{site}": [one for one in calm.DEVICES if calm.site_of(one) == site] for site in calm.SITES}
_CALM_GROUPS[f"model#{calm.MODEL}"] = list(calm.DEVICES)


def problems(log: Log, rows: Rows, now: int, hot: Hot = ALL) -> Iterator[str]:
    """What is missing or wrong; `now` is in epoch seconds. What is not `hot` may be missing."""
    alive = {key: row for key, row in rows.items() if row.expires_at is None or row.expires_at > now}
    expected = oracle.unexpired(log.reckoning.rows, now)
    cold = {key for key in _cold_rollups(expected, now, hot) if key not in alive}
    yield from _unlike_the_oracle({key: row for key, row in expected.items() if key not in cold}, alive)
    yield from _of_calm_devices(log, alive)
    yield from _of_calm_groups(expected, alive, cold)
    yield from _of_all_devices(log, expected, alive, cold)
    yield from _of_the_own_fold(log, alive)


def _cold_rollups(expected: Mapping[Key, ViewUpdate], now: int, hot: Hot) -> Iterator[Key]:
    """The rollups, of devices and of groups they may be in, that are not hot."""
    for partition, sort in expected:
        if not hot.holds(sort, now):
            yield partition, sort
            yield from ((f"fleet#site#{site}", sort) for site in calm.SITES)
            yield _ALL, sort


def _unlike_the_oracle(expected: Mapping[Key, ViewUpdate], rows: Rows) -> Iterator[str]:
    """Of the rows that the JVM folds, of every device."""
    folded = {key: row for key, row in rows.items() if key[0].startswith("device#") and not is_of_a_python_fold(row)}
    yield from map(str, oracle.compare(expected, folded))


def _of_calm_devices(log: Log, rows: Rows) -> Iterator[str]:
    for device_id in calm.DEVICES:
        events = log.events.get(device_id, ())
        if not events:
            yield f"nothing of {device_id} was to be folded"
            continue
        partition = device_partition(device_id)
        found = {sort: row for (at, sort), row in rows.items() if at == partition and is_of_a_python_fold(row)}
        expected = {**_life(events), **_presence(events), **_alerts(events)}
        for sort in sorted(found.keys() | expected.keys()):
            shown = found[sort].data if sort in found else None
            if shown is None or not _shows(shown, expected.get(sort)):
                yield f"{partition} {sort}: {shown}, expected {expected.get(sort)}"
        for sort in ("device", "own"):
            if sort in found and found[sort].version != len(events) * TIMES_AN_EVENT:
                yield f"{partition} {sort}: version {found[sort].version} of {len(events)} events"
        yield from _open_alert(device_id, events, rows)


def _shows(shown: Mapping[str, object], expected: Mapping[str, object] | None) -> bool:
    """Whether a row says all that is expected of it; what a fold shows besides is its own affair."""
    return expected is not None and expected.items() <= shown.items()


def _life(events: Sequence[DeviceEvent]) -> dict[str, Mapping[str, object]]:
    return {"device": device_row(events), "own": {"events": len(events)}}


def _presence(events: Sequence[DeviceEvent]) -> dict[str, Mapping[str, object]]:
    """Online since its first report was heard, as all of its metrics, and never out."""
    reports = [event for event in events if event.metrics]
    if not reports:
        return {}
    online: Mapping[str, object] = {"status": "online", "since_at": heard_at(reports[0])}
    metrics = {f"presence#metric#{name}": online for name in reports[0].metrics}
    return {"presence": {**online, "outages": 0}, **metrics}


def _alerts(events: Sequence[DeviceEvent]) -> dict[str, Mapping[str, object]]:
    episodes = _episodes(events)
    shown: dict[str, Mapping[str, object]] = {}
    for episode in episodes:
        shown[f"alert#hot#{iso(episode['fired'])}"] = _course(episode)
    if episodes:
        shown["alert#hot"] = {"state": "resolved" if "resolved" in episodes[-1] else "firing", "count": len(episodes)}
    return shown


def _open_alert(device_id: str, events: Sequence[DeviceEvent], rows: Rows) -> Iterator[str]:
    episodes = _episodes(events)
    row = rows.get(("alerts", f"alert#hot#{device_id}"))
    if (row is None) != (not episodes) or (row and row.data["began_at"] != episodes[-1]["fired"]):
        yield f"alerts of {device_id}: {row}, expected {episodes[-1:]}"


def _episodes(events: Sequence[DeviceEvent]) -> list[dict[str, int]]:
    alerts = AlertOracle(calm.HOT)
    for event in events:
        alerts.hear(event)
    return alerts.episodes


def _course(episode: Mapping[str, int]) -> dict[str, object]:
    ended: dict[str, object] = {"resolved_at": episode["resolved"]} if "resolved" in episode else {}
    return {"fired_at": episode["fired"], "began_at": episode["fired"]} | ended


def _of_calm_groups(expected: Mapping[Key, ViewUpdate], rows: Rows, cold: Set[Key]) -> Iterator[str]:
    for group, devices in _CALM_GROUPS.items():
        counts = {"devices": len(devices), "online": len(devices)}
        row = rows.get((f"fleet#{group}", "fleet"))
        if row is None or {name: count for name, count in row.data.items() if count} != counts:
            yield f"fleet#{group} fleet: {row}, expected {counts}"
    for site in calm.SITES:
        yield from _of_rollups(f"fleet#site#{site}", _CALM_GROUPS[f"site#{site}"], expected, rows, cold)


def _of_rollups(
    partition: str, devices: Sequence[str], expected: Mapping[Key, ViewUpdate], rows: Rows, cold: Set[Key]
) -> Iterator[str]:
    """A group's rollups are its devices' together, since none of them has ever been elsewhere."""
    partitions = set(map(device_partition, devices))
    parts: defaultdict[str, list[Mapping[str, float]]] = defaultdict(list)
    for (at, sort), row in expected.items():
        if at in partitions and sort.startswith("rollup#"):
            parts[sort].append(cast("Mapping[str, float]", row.data))  # it holds numbers alone
    found = {sort: row for (at, sort), row in rows.items() if at == partition and sort.startswith("rollup#")}
    for sort in sorted(one for one in parts.keys() | found.keys() if (partition, one) not in cold):
        wanted = {
            name: together(part[name] for part in parts[sort])
            for name, together in (("count", sum), ("sum", math.fsum), ("min", min), ("max", max))
            if parts[sort]
        }
        shown = found[sort].data if sort in found else {}
        if not wanted or any(not math.isclose(float(shown.get(name, math.nan)), is_) for name, is_ in wanted.items()):
            yield f"{partition} {sort}: {shown}, expected {wanted}"


def _of_all_devices(log: Log, expected: Mapping[Key, ViewUpdate], rows: Rows, cold: Set[Key]) -> Iterator[str]:
    row = rows.get((_ALL, "fleet"))
    most = len(log.events)
    if row is None or not most - len(log.forgotten) <= int(row.data.get("devices", 0)) <= most:
        yield f"{_ALL} fleet: {row}, expected {most} devices"
    counts: defaultdict[str, float] = defaultdict(float)
    for (_, sort), update in expected.items():
        if sort.startswith("rollup#"):
            counts[sort] += float(update.data["count"])
    for sort, count in counts.items():
        row = rows.get((_ALL, sort))
        if (_ALL, sort) not in cold and (row is None or row.data["count"] != count):
            yield f"{_ALL} {sort}: {row}, expected a count of {count:g}"


def _of_the_own_fold(log: Log, rows: Rows) -> Iterator[str]:
    """It has counted each event on which it did not fail, of each device that it still knows."""
    failed = log.failed_events
    for device_id, events in log.events.items():
        if device_id in log.forgotten:
            continue
        row, wanted = rows.get((device_partition(device_id), own_fold.NAME)), len(events) - failed[device_id]
        if (row.data.get("events") if row else 0) != wanted:
            yield f"device#{device_id} own: {row}, expected {wanted} of {len(events)} events"


def unexplained(log: Log, rows: Rows, rules: frozenset[str]) -> Iterator[str]:
    """Rows that are nobody's; `rules` are the names of all rules that there can have been."""
    groups = log.groups
    for partition, sort in rows:
        kind, _, name = partition.partition("#")
        match kind:
            case "device" if _is_of_the_device(log.events.get(name), sort, rules):
                pass
            case "fleet" if name in groups and _is_of_a_group(sort):
                pass
            case "fleets" if not name and sort.removeprefix("fleet#") in groups:
                pass
            case "alerts" if not name and _is_an_alert(sort, log, rules):
                pass
            case _:
                yield f"nobody may have written {partition!r} {sort!r}: {str(rows[partition, sort])[:200]}"


def _is_of_the_device(events: Sequence[DeviceEvent] | None, sort: str, rules: frozenset[str]) -> bool:
    """Rows of the JVM's folds are held against the oracle's, each of them."""
    if events is None:
        return False
    kind, _, rest = sort.partition("#")
    match kind:
        case "latest" | "rollup":
            return True
        case "device":
            return not rest
        case "presence":
            metric = rest.removeprefix("metric#")
            return not rest or rest.startswith("outage#") or any(metric in event.metrics for event in events)
        case "alert":
            return rest.partition("#")[0] in rules
        case own_fold.NAME:
            return not rest or (rest == "row" and events[0].device_id.startswith("own-"))
    return False


def _is_of_a_group(sort: str) -> bool:
    return sort == "own#count" or sort.partition("#")[0] in ("fleet", "rollup")


def _is_an_alert(sort: str, log: Log, rules: frozenset[str]) -> bool:
    kind, rule, device_id = (*sort.split("#", 2), "", "")[:3]
    return kind == "alert" and rule in rules and device_id in log.events
