"""Groups of devices, as the running job counts and rolls them up."""

import time
from contextlib import closing
from functools import partial
from typing import Any
from uuid import uuid4

import msgspec
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.jobs.stores import STORES, open_reader
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import device_partition
from tests.support.live_job import LiveJob, Sent
from tests.support.waiting import until

HOUR_MS = 3_600_000


def test_groups_are_counted_ranked_and_rolled_up(live_job: LiveJob) -> None:
    """Two devices of one site and one of another, which moves there; one falls silent."""
    run, now = uuid4().hex, time.time_ns() // 1_000_000 + 15_000
    here, there = f"{run}-here", f"{run}-there"
    events = [
        event(run, "a", now, 1, {"t": 1.0}, here, interval_s=1),
        event(run, "b", now + 1, 2, {"t": 2.0}, here),
        event(run, "b", now + 2, 3, {"t": 5.0}, here),
        event(run, "c", now + 3, 4, {"t": 7.0}, there),
        event(run, "c", now + 4, 5, {"t": 3.0}, here),
    ]
    live_job.fold([Sent(encode(one), one.device_id) for one in events])
    await_row(live_job, f"fleet#site#{there}", "fleet", {"devices": 0, "online": 0})
    counts = {"devices": 3, "online": 2, "offline": 1, "silent": 0}
    await_row(live_job, f"fleet#site#{here}", "fleet", counts)
    await_row(live_job, "fleets", f"fleet#site#{here}", counts)
    hour = now - now % HOUR_MS
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(hour / 1_000))
    if (now + 4) // HOUR_MS == now // HOUR_MS:
        top = {f"device_{n}": f"{run}-{name}" for n, name in enumerate("bca", 1)}
        await_row(
            live_job,
            f"fleet#site#{here}",
            f"fleet#top#t#{start}",
            top | {"value_1": 5.0, "value_2": 3.0, "value_3": 1.0},
        )
        await_row(live_job, f"fleet#site#{here}", f"fleet#active#1h#{start}", {"devices": 3})
        rolled = {
            "count": 4, "sum": 11.0, "min": 1.0, "max": 5.0, "m2": 8.75, "first_at": now, "last_at": now + 4,
            "increase": 6.0,
        }  # fmt: skip
        await_row(live_job, f"fleet#site#{here}", f"rollup#1h#t#{start}", rolled)
    shown = CliRunner().invoke(app, ["query", "fleet", "--json", "--properties", str(live_job.properties)])
    rows = {row["sort"]: row["data"] for row in msgspec.json.decode(shown.output)["rows"]}
    assert rows[f"fleet#site#{here}"] == counts
    one = CliRunner().invoke(app, ["query", "fleet", f"site#{here}", "--properties", str(live_job.properties)])
    assert one.exit_code == 0, one.output
    assert "Highest t" in one.output


def event(
    run: str, device: str, at: int, sequence: int, metrics: dict[str, float], site: str, interval_s: int | None = None
) -> DeviceEvent:
    attributes = {"site": site} | ({"report_interval_s": str(interval_s)} if interval_s else {})
    kind = "configured" if interval_s else "telemetry"
    return DeviceEvent(f"{run}-{sequence}", f"{run}-{device}", kind, at, sequence, metrics, attributes)


def await_row(live_job: LiveJob, partition: str, sort: str, data: dict[str, Any]) -> None:
    for store in STORES:
        with closing(open_reader(live_job.settings, store)) as reader:
            until(partial(reader.get, partition, sort), lambda row: row is not None and dict(row.data) == data)


def test_marks_of_a_byte_order_at_the_beginning_of_a_device_id_belong_to_it(live_job: LiveJob) -> None:
    """What is between Java and Python reads texts as UTF-16, where these characters say in which order bytes are."""
    run, now = uuid4().hex, time.time_ns() // 1_000_000
    devices = [run, f"\ufeff{run}", f"\ufffe{run}", f"\ufeff\ufffe{run}"]
    sent = [DeviceEvent(uuid4().hex, one, "telemetry", now + n, n, {"t": float(n)}) for n, one in enumerate(devices)]
    live_job.fold([Sent(encode(one), one.device_id) for one in sent])
    for one in devices:
        (heard,) = live_job.heard(one)
        expected = {"status": "online", "since_at": heard.arrival, "outages": 0}
        await_row(live_job, device_partition(one), "presence", expected)
