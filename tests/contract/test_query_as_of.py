"""`telefold query device --as-of` over a real stream and an archive on disk."""

import json
import time
from typing import Any

import pytest

from telefold.cli import query
from telefold.connectors import archive
from telefold.schemas.codec import encode
from telefold.schemas.errors import TelefoldError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from tests.support.properties import set_properties
from tests.support.verified_log import HOUR, Scene, run, young


def as_of(scene: Scene, at: int, *arguments: str) -> list[dict[str, Any]]:
    result = run(query.app, scene.properties, "device", "device-3", "--as-of", str(at), "--json", *arguments)
    answer = json.loads(result.stdout)
    assert answer["partition"] == "device#device-3"
    rows: list[dict[str, Any]] = answer["rows"]
    assert result.exit_code == (0 if rows else 1)
    return rows


@pytest.fixture
def history(scene: Scene) -> Scene:
    """An event a minute, arriving as it happened, all but the last ten archived; no store has a row."""
    start = time.time_ns() // 1_000_000 - HOUR

    def event(n: int) -> LogRecord:
        made = DeviceEvent(f"e{n}", "device-3", "telemetry", start + n * 60_000, n, {"heat": float(n)})
        return LogRecord(encode(made), start + n * 60_000, "device-3", "shardId-of-old-0", str(n))

    other = LogRecord(b"about device-3 and junk", start, "device-3", "shardId-of-old-1", "1")
    scene.archive([*map(event, range(50)), other])
    return scene


def test_a_device_is_shown_as_it_was(history: Scene) -> None:
    start = next(archive.Archive(str(history.settings.archive.path)).read()).arrival
    rows = {row["sort"].split("#")[0] + row["sort"].split("#")[1]: row for row in as_of(history, start + 600_000)}
    assert set(rows) == {"latestheat", "rollup1m", "rollup1h"}
    assert rows["latestheat"]["data"] == {"value": 10.0, "at": start + 600_000}
    earlier = as_of(history, start + 600_000 - 1, "--metric", "heat")
    assert next(row for row in earlier if row["sort"] == "latest#heat")["data"]["value"] == 9.0


def test_what_is_not_archived_yet_is_read_from_the_stream(history: Scene) -> None:
    history.send([young(7)])
    now = time.time_ns() // 1_000_000 + 1_000
    latest = next(row for row in as_of(history, now) if row["sort"] == "latest#temperature")
    assert latest["data"]["value"] == 7.0


def test_people_see_tables_of_the_past_and_what_to_do_next(history: Scene) -> None:
    result = run(query.app, history.properties, "device", "device-3", "--as-of", "0m")
    assert result.exit_code == 0
    assert "heat" in result.stdout
    assert "folded from 50 records" in result.stderr
    assert "Next: `telefold query device device-3`" in result.stderr


def test_rows_that_had_expired_by_then_are_not_shown(history: Scene) -> None:
    set_properties(history.properties, {"telefold.views": {"retention.rollups": "1m", "retention.latest": "30d"}})
    now = time.time_ns() // 1_000_000
    assert {row["sort"] for row in as_of(history, now) if not row["sort"].startswith("rollup#1h")} == {"latest#heat"}


def test_a_device_without_events_by_then_is_a_sentence(history: Scene) -> None:
    assert as_of(history, 1_600_000_000_000) == []
    result = run(query.app, history.properties, "device", "device-3", "--as-of", "2020-09-13")
    assert result.exit_code == 1
    assert "device-3 had no rows yet at 2020-09-13" in result.stderr


def test_the_past_needs_an_archive(history: Scene) -> None:
    path = history.properties
    groups = [group for group in json.loads(path.read_text()) if group["PropertyGroupId"] != "telefold.archive"]
    path.write_text(json.dumps(groups))
    with pytest.raises(TelefoldError, match=r"telefold\.archive/path is not set"):
        run(query.app, path, "device", "device-3", "--as-of", "1h")
