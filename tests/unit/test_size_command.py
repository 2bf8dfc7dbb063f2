"""`telefold size`, as people and programs read it."""

import json

import pytest
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.schemas.errors import SettingsError

FLEET = ("size", "--devices", "10000", "--interval", "5", "--metrics", "5")


def test_every_line_has_its_reason_and_the_last_one_what_to_do() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, FLEET, catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any("2,000/s" in line and "devices / interval" in line for line in lines)
    assert any("30,000/s" in line and "once a flush of 1 s" in line for line in lines)
    assert any("2,169/s" in line and "when a window is over the block of 20" in line for line in lines)
    assert lines[-1].startswith("Next: a stream of 3 shards")


def test_items_of_many_metrics_are_told_in_parts() -> None:
    def items(metrics: int) -> str:
        asked = ("size", "--devices", "1", "--interval", "60", "--metrics", str(metrics), "--rollups", "1h")
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, asked, catch_exceptions=False)
        return next(line for line in result.stdout.splitlines() if line.startswith("│ items"))

    assert "in 4 parts each" in items(200)
    assert "parts" not in items(64)


def test_programs_get_the_fleet_the_figures_and_the_advice() -> None:
    asked = (*FLEET, "--rollups", "5m", "--flush", "10s", "--lateness", "2h", "--retention", "7d", "--json")
    answer = json.loads(CliRunner().invoke(app, asked, catch_exceptions=False).stdout)
    assert answer["fleet"]["rollup_sizes"] == {"5m": 300_000}
    assert (answer["fleet"]["flush_ms"], answer["fleet"]["lateness_ms"]) == (10_000, 7_200_000)
    assert answer["sizing"]["rows"] == 10_000
    assert answer["sizing"]["rows_kept"] == 50_000 * (1 + 7 * 288)
    assert answer["sizing"]["items"] == pytest.approx(1_000 + 10_000 / 300)
    assert all(isinstance(sentence, str) for sentence in answer["advice"])


def test_keys_that_are_not_the_device_are_told_what_they_cost() -> None:
    def answer(*more: str) -> str:
        runner = CliRunner(env={"COLUMNS": "200"})
        return runner.invoke(app, [*FLEET, *more], catch_exceptions=False).stdout

    assert "a device's events lie in one shard, in their order" in answer()
    assert "partition keys" not in answer()
    assert "no order: while the job catches up" in answer("--key", "random")
    assert "puts all 2,000 events a second into one shard, which is not enough" in answer("--key", "constant")
    few = answer("--key", "constant", "--interval", "20")
    assert "puts all 500 events a second into one shard, which is enough for this fleet" in few


@pytest.mark.parametrize("option", [("--key", "any"), ("--rollups", "7m"), ("--flush", "soon"), ("--lateness", "0s")])
def test_what_cannot_be_read_is_named(option: tuple[str, str]) -> None:
    with pytest.raises(SettingsError) as refused:
        CliRunner().invoke(app, [*FLEET, *option], catch_exceptions=False)
    assert option[0] in refused.value.problems[0]
