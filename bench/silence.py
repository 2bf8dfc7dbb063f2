"""Whether the one device that falls silent is told, how soon, and whether anybody else is said to be silent.

`make bench-silence`. Twenty devices report every two seconds to the job on the local stack: the clocks of two are
ahead, those of two behind, one sends the readings of its last hour in chunks, and one stops. All others must stay
online, and of all messages of alerts there must be the one of that device.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from redis import Redis
from rich.console import Console

from bench.freshness import RunningJob, set_of_the_job
from telefold.connectors import aws, event_log
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings, stores
from telefold.jobs.stores import STORES, StoreName, open_reader
from telefold.operators.folds.presence import OFFLINE_AFTER
from telefold.schemas.alerts import CHANNEL, AlertTransition
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import device_partition

INTERVAL_S = 2
STALE_S = 5
RULE = "gone"
SILENT = "silent-1"
BACKLOG = "backlog-1"
_BACKLOG_S, _CHUNK = 3_600, 60
_AHEAD_OR_BEHIND_S = {"ahead-1": 540, "ahead-2": 60, "behind-1": -300, "behind-2": -3_000}
_DEVICES = (SILENT, BACKLOG, *_AHEAD_OR_BEHIND_S, *(f"calm-{number:02}" for number in range(1, 15)))

console = Console(stderr=True)


class Told(NamedTuple):
    message: AlertTransition
    heard_at: float
    """Epoch seconds, when a listener of the channel had it."""


class Fleet:
    """The devices; each turn is a report of all of them."""

    def __init__(self) -> None:
        self._backlog_left = _BACKLOG_S // INTERVAL_S
        self.last_of_silent = 0
        """Epoch milliseconds."""

    def turn(self, number: int, speaks: bool) -> Iterator[event_log.NewRecord]:
        """The records of a turn; the one that falls silent has one only if it `speaks`."""
        now = time.time_ns() // 1_000_000
        for device in _DEVICES:
            if device == BACKLOG and self._backlog_left:
                yield from self._chunk(now)
            elif device != SILENT or speaks:
                self.last_of_silent = now if device == SILENT else self.last_of_silent
                at = now + 1_000 * _AHEAD_OR_BEHIND_S.get(device, 0)
                yield _record(device, f"live-{number}", "configured" if number == 0 else "telemetry", at)

    def _chunk(self, now: int) -> Iterator[event_log.NewRecord]:
        for _ in range(min(_CHUNK, self._backlog_left)):
            yield _record(
                BACKLOG, f"late-{self._backlog_left}", "telemetry", now - self._backlog_left * INTERVAL_S * 1_000
            )
            self._backlog_left -= 1


def _record(device: str, name: str, event_type: str, at: int) -> event_log.NewRecord:
    attributes = {"report_interval_s": str(INTERVAL_S)} if event_type == "configured" else {}
    event = DeviceEvent(f"{device}/{name}", device, event_type, at, 0, {"temperature": 20.0}, attributes)
    return event_log.NewRecord(encode(event), device)


def main(
    before: Annotated[int, typer.Option(help="Turns of two seconds before the one falls silent.")] = 20,
    after: Annotated[int, typer.Option(help="Turns of the others after that.")] = 15,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Let one of twenty devices fall silent; exit 1 if anything but that is told, or shown."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        properties = Path(stack.status.properties)
        set_of_the_job(properties, folds="device,presence,alert,fleet")
        with RunningJob(properties):
            found = measure(settings.load(properties), before, after)
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        for name, value in found.items():
            console.print(f"{name}: {value}", highlight=False)
    if found["problems"]:
        raise typer.Exit(1)


def measure(loaded: settings.Settings, before: int, after: int) -> dict[str, Any]:
    """Send the turns, and look at what was told and shown. Delays are in seconds after the moment that they are of."""
    fleet, told = Fleet(), list[Told]()
    with closing(_listening(loaded, told.append)), stores.open_rule_book(loaded) as rules:
        rules.put(RULE, f"stale() > {STALE_S}s", "critical")
        console.print(f"{len(_DEVICES)} devices report every {INTERVAL_S} s for {INTERVAL_S * (before + after)} s ...")
        _send(loaded, fleet, before, after)
        time.sleep(3)
        shown = {store: _shown(loaded, store) for store in STORES}
    stale_at = fleet.last_of_silent / 1_000 + STALE_S
    problems = [f"{device} was told: {one}" for device, one in _unasked(told)]
    problems += [f"{store}: {problem}" for store, rows in shown.items() for problem in _wrong(rows)]
    firing = [one for one in told if one.message.device_id == SILENT and one.message.state == "firing"]
    if len(firing) != 1:
        problems.append(f"the alert of {SILENT} was told {len(firing)} times")
    return {
        "alert_told_after_s": round(firing[0].heard_at - stale_at, 2) if firing else None,
        "messages": len(told),
        "problems": problems,
    }


def _send(loaded: settings.Settings, fleet: Fleet, before: int, after: int) -> None:
    begun = time.monotonic()
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        for number in range(before + after):
            for batch in event_log.batches(list(fleet.turn(number, number < before))):
                event_log.append(kinesis, loaded.source.name, batch)
            time.sleep(max(0.0, begun + (number + 1) * INTERVAL_S - time.monotonic()))


class _Listener:
    """Hears the channel in a thread of its own until it is closed."""

    def __init__(self, redis: Redis, tell: Callable[[Told], None]) -> None:
        self._redis = redis
        self._channel: Any = redis.pubsub()
        self._channel.subscribe(CHANNEL)
        self._over = False
        self._thread = threading.Thread(target=self._hear, args=(tell,), daemon=True)
        self._thread.start()

    def _hear(self, tell: Callable[[Told], None]) -> None:
        while not self._over:
            message = self._channel.get_message(ignore_subscribe_messages=True, timeout=0.1)
            if message is not None:
                tell(Told(msgspec.json.decode(message["data"], type=AlertTransition), time.time()))

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._channel.close()
        self._redis.close()


def _listening(loaded: settings.Settings, tell: Callable[[Told], None]) -> _Listener:
    return _Listener(Redis.from_url(loaded.views.redis_url), tell)


def _unasked(told: list[Told]) -> Iterator[tuple[str, str]]:
    for one in told:
        if one.message.device_id != SILENT or one.message.rule != RULE:
            yield one.message.device_id, f"{one.message.rule} {one.message.state}"


def _shown(loaded: settings.Settings, store: StoreName) -> dict[str, dict[str, Mapping[str, Any]]]:
    """By device, the rows of `presence` but for those of metrics."""
    with closing(open_reader(loaded, store)) as reader:
        return {
            device: {
                row.sort: row.data
                for row in reader.range(device_partition(device), "presence")
                if "#metric#" not in row.sort
            }
            for device in _DEVICES
        }


def _wrong(rows: dict[str, dict[str, Mapping[str, Any]]]) -> Iterator[str]:
    for device, shown in rows.items():
        outages = sorted(sort for sort in shown if "#outage#" in sort)
        status = shown.get("presence", {}).get("status")
        wanted = ("offline", 1) if device == SILENT else ("online", 0)
        if (status, len(outages)) != wanted:
            yield f"{device} is {status} and has the outages {outages}; {OFFLINE_AFTER} intervals make one"


if __name__ == "__main__":
    typer.run(main)
