"""`telefold query` over rows that the oracle folded; the stores themselves pass a contract suite of their own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from telefold.cli import main, query
from telefold.connectors import archive
from telefold.connectors.memory import MemoryViews
from telefold.jobs import stores
from telefold.schemas.codec import encode
from telefold.schemas.errors import SettingsError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import Data, ViewUpdate
from telefold.verify import event_log as log_of_all
from telefold.verify.folding import ViewsInUse
from telefold.verify.oracle import fold

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
MINUTE = 60_000
SETTINGS = {
    "telefold.source": {"stream.name": "events", "aws.region": "us-east-1"},
    "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"},
    "telefold.dead-letter": {"stream.name": "dead-letters"},
}


def log() -> list[LogRecord]:
    """Two hours, an event a minute; metric names that sort around the separator."""
    events = [
        DeviceEvent(f"e{n}", "d", "telemetry", NOON + n * MINUTE, n, {"heat": float(n), 'heat"x': 1.0, "heat$": 2.0})
        for n in range(120)
    ]
    return [LogRecord(encode(event), NOON + 120 * MINUTE, "d", "shard-0", event.event_id) for event in events]


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    views = MemoryViews()
    views.write(list(fold(log(), {"1m": MINUTE, "1h": 60 * MINUTE}, 60 * MINUTE, {}).rows.values()))
    others: tuple[tuple[str, Data], ...] = (
        ("device", {"registered_at": NOON}),
        ("presence", {"status": "online", "since_at": NOON}),
        ("zone", {"number": 7}),
    )
    views.write([ViewUpdate("other", "device#d", sort, 1, data) for sort, data in others])
    monkeypatch.setattr(stores, "open_reader", lambda settings, name: views)
    monkeypatch.setattr(stores, "open_views_reader", lambda settings: views)


@pytest.fixture
def properties(tmp_path: Path) -> Path:
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in SETTINGS.items()]))
    return path


def run(properties: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(query.app, [*arguments, "--properties", str(properties)], env={"COLUMNS": "120"})
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return result


def sorts(properties: Path, *arguments: str) -> list[str]:
    result = run(properties, *arguments, "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["partition"] == f"device#{arguments[1]}"
    return [row["sort"] for row in answer["rows"]]


def starts(properties: Path, *options: str) -> list[str]:
    return [sort.rsplit("#", 1)[1] for sort in sorts(properties, "rollups", "d", "--metric", "heat", *options)]


def test_latest_has_every_metric(properties: Path) -> None:
    assert set(sorts(properties, "latest", "d")) == {"latest#heat", 'latest#heat"x', "latest#heat$"}
    assert sorts(properties, "latest", "d", "--metric", "heat") == ["latest#heat"]


def test_json_rows_have_all_five_fields(properties: Path) -> None:
    answer = json.loads(run(properties, "latest", "d", "--metric", "heat", "--json").stdout)
    at = NOON + 119 * MINUTE
    expected = {
        "sort": "latest#heat",
        "version": at * 2**20 + 1,
        "data": {"value": 119.0, "at": at},
        "expires_at": None,
        "behind_ms": None,
    }
    assert answer == {"partition": "device#d", "rows": [expected]}


def test_rollups_are_the_newest_of_the_smallest_size_newest_last(properties: Path) -> None:
    found = starts(properties)
    assert len(found) == 60
    assert (found[0], found[-1]) == ("2026-01-31T13:00:00Z", "2026-01-31T13:59:00Z")


def test_rollups_of_all_metrics_are_found_whatever_their_names(properties: Path) -> None:
    found = sorts(properties, "rollups", "d", "--size", "1h")
    assert len(found) == 6
    assert {sort.split("#")[2] for sort in found} == {"heat", 'heat"x', "heat$"}


def test_since_takes_the_window_it_falls_into_and_until_leaves_its_own_start_out(properties: Path) -> None:
    found = starts(properties, "--since", "2026-01-31T12:10:30Z", "--until", "2026-01-31T12:13:00Z")
    assert found == ["2026-01-31T12:10:00Z", "2026-01-31T12:11:00Z", "2026-01-31T12:12:00Z"]


def test_until_inside_a_window_shows_it(properties: Path) -> None:
    assert starts(properties, "--until", "2026-01-31T12:01:00.001Z")[-1] == "2026-01-31T12:01:00Z"


def test_since_lifts_the_default_limit(properties: Path) -> None:
    assert len(starts(properties, "--since", "2026-01-31")) == 120
    assert starts(properties, "--since", "2026-01-31", "--limit", "1") == ["2026-01-31T13:59:00Z"]


def test_device_has_all_rows_but_past_windows(properties: Path) -> None:
    found = sorts(properties, "device", "d")
    assert [sort for sort in found if not sort.startswith(("rollup#", "latest#"))] == ["device", "presence", "zone"]
    assert [sort for sort in found if sort.startswith("rollup#") and "#heat#" in sort] == [
        "rollup#1h#heat#2026-01-31T13:00:00Z",
        "rollup#1m#heat#2026-01-31T13:59:00Z",
    ]
    assert len(found) == 3 + 3 + 6


@pytest.mark.parametrize("what", ["device", "latest", "rollups"])
def test_people_see_tables(properties: Path, what: str) -> None:
    result = run(properties, what, "d", "--metric", "heat")
    assert result.exit_code == 0
    assert "heat" in result.stdout


def test_a_device_without_rows_is_exit_code_1_with_a_sentence_for_people_and_no_rows_for_programs(
    properties: Path,
) -> None:
    result = run(properties, "latest", "nobody")
    assert result.exit_code == 1
    assert "no such rows of device#nobody" in result.stderr
    result = run(properties, "latest", "nobody", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"partition": "device#nobody", "rows": []}


@pytest.mark.parametrize("json_too", [[], ["--json"]])
@pytest.mark.parametrize("what", ["device", "latest", "rollups"])
def test_of_a_metric_that_a_device_does_not_have_those_are_told_that_it_has(
    properties: Path, what: str, json_too: list[str]
) -> None:
    result = run(properties, what, "d", "--metric", "haet", *json_too)
    assert result.exit_code == 1
    assert result.stderr == 'd has no metric haet: it has heat, heat"x, heat$.\n'
    assert result.stdout == "" or json.loads(result.stdout)["rows"] == []
    assert "has no metric" not in run(properties, what, "nobody", "--metric", "haet", *json_too).stderr


def test_a_metric_without_windows_in_a_span_is_a_metric_all_the_same(properties: Path) -> None:
    result = run(properties, "rollups", "d", "--metric", "heat", "--until", "2020-01-01")
    assert result.exit_code == 1
    assert "no such rows of device#d" in result.stderr


def test_a_device_begins_with_a_line_for_people(properties: Path) -> None:
    first = run(properties, "device", "d", "--limit", "1").stdout.splitlines()[0]
    assert first.startswith("d: online since 2026-01-31 12:00:00 UTC (")
    assert ", 3 metrics, newest event 2026-01-31 13:59:00 UTC (" in first
    assert "metrics" not in run(properties, "device", "d", "--metric", "heat").stdout.splitlines()[0]


@pytest.mark.parametrize("json_too", [[], ["--json"]])
@pytest.mark.parametrize(("group", "told"), [(["site#atlantis"], "There is no group site#atlantis"), ([], "no groups")])
def test_a_group_that_there_is_not_is_exit_code_1(
    properties: Path, group: list[str], told: str, json_too: list[str]
) -> None:
    result = CliRunner().invoke(main.app, ["query", "fleet", *group, *json_too, "--properties", str(properties)])
    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stdout == "" or json.loads(result.stdout)["rows"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "5m"], "--size is 5m, but must be one of telefold.job/rollup.sizes: 1m, 1h"),
        (["--since", "soon"], "since: 'soon' is no time"),
        (["--until", "15"], "until: '15' is no time"),
    ],
)
def test_bad_options_are_refused(properties: Path, options: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(properties, "rollups", "d", *options)


@pytest.mark.parametrize(("views", "has_latest"), [("latest,rollups", True), ("rollups", False)])
def test_as_of_a_time_silence_and_the_views_that_are_kept_count_as_in_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: str, has_latest: bool
) -> None:
    """After a silence of more than `state.retention` the day that the device had begun is closed to it."""
    day = NOON - 12 * 60 * MINUTE
    begun, later = day + 30 * MINUTE, day + 27 * 60 * MINUTE
    events = [
        DeviceEvent("e1", "d", "telemetry", begun, 1, {"heat": 1.0}),
        DeviceEvent("e2", "d", "telemetry", day + 23 * 60 * MINUTE, 2, {"heat": 2.0}),
    ]
    arrivals = [begun, later]
    records = [
        LogRecord(encode(event), arrival, "d", "shard-0", str(number))
        for number, (event, arrival) in enumerate(zip(events, arrivals, strict=True), 1)
    ]
    archive.write(str(tmp_path / "archive"), records)
    monkeypatch.setattr(log_of_all, "read_behind", lambda client, stream, positions: iter(()))
    monkeypatch.setattr(query, "current_views", lambda settings: ViewsInUse(1, {}))
    path = tmp_path / "application_properties.json"
    job = {"rollup.sizes": "1d", "state.retention": "25h", "views": views}
    groups = {**SETTINGS, "telefold.job": job, "telefold.archive": {"path": str(tmp_path / "archive")}}
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()]))

    result = run(path, "device", "d", "--as-of", str(later), "--json")
    assert result.exit_code == 0, result.stderr
    rows = {row["sort"]: row for row in json.loads(result.stdout)["rows"]}
    assert rows.keys() - {"latest#heat"} == {"rollup#1d#heat#2026-01-31T00:00:00Z"}
    assert rows["rollup#1d#heat#2026-01-31T00:00:00Z"]["data"]["count"] == 1
    assert ("latest#heat" in rows) is has_latest
