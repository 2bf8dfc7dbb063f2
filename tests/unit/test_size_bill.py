"""The bill of `telefold size`: table and JSON say the same, options move it, and the guide shows what is printed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from telefold.cli import demo
from telefold.cli.main import app
from telefold.planning.costs import Bill
from telefold.schemas.errors import UsageError

F1 = ("size", "--devices", "10000", "--interval", "10", "--metrics", "2", "--retention", "7d")
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "sizing.md"


def printed(*asked: str) -> str:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, asked, catch_exceptions=False).stdout


def rows(*asked: str) -> list[list[str]]:
    """The cells of the lines of both tables."""
    return [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in printed(*asked).splitlines()
        if line.startswith("│")
    ]


def amounts(*asked: str) -> dict[str, str]:
    """The last cell of each line, by the first."""
    return {line[0]: line[-1] for line in rows(*asked)}


def answer(*asked: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(*asked, "--json"))
    return found


def test_programs_get_each_line_the_total_and_what_a_device_and_an_event_cost() -> None:
    found = answer(*F1)
    assert list(found["usd_month"]) == [*Bill.__struct_fields__, "total"]
    *lines, total = found["usd_month"].values()
    assert total == pytest.approx(sum(lines))
    assert found["usd_device_month"] == pytest.approx(total / 10_000)
    assert found["usd_million_events"] == pytest.approx(total / 2_628)
    assert found["write_units_device_hour"] == pytest.approx(13)


def test_the_table_has_the_fields_of_the_json_in_its_order() -> None:
    found = answer(*F1)
    bill = rows(*F1)[-len(found["usd_month"]) - 2 :]
    sums = [found["usd_device_month"], found["usd_million_events"]]
    assert [line[2] for line in bill] == [
        *(f"{dollars:,.2f}" for dollars in found["usd_month"].values()),
        *(f"{dollars:,.4f}" for dollars in sums),
    ]
    assert [line[0] for line in bill[-3:]] == ["total", "a device", "a million events"]
    assert "13.0 units/h" in printed(*F1)


def test_provisioned_writes_cost_less_and_a_week_of_stream_more_and_they_say_why() -> None:
    usual, other = amounts(*F1), amounts(*F1, "--provisioned", "--stream-retention", "7d")
    differ = {line for line in usual if usual[line] != other[line]}
    assert differ == {"Kinesis, retention", "DynamoDB, writes", "total", "a device", "a million events"}
    assert (other["Kinesis, retention"], other["DynamoDB, writes"]) == ("73.00", "24.48")
    text = printed(*F1, "--provisioned", "--stream-retention", "7d")
    assert "52 units/s provisioned, 70% of them used" in text
    assert "168 hours instead of 24" in text
    assert "a table of 52 provisioned write units" in text
    assert "a day has no surcharge" in printed(*F1)


def test_how_far_dynamodb_may_be_behind_is_what_its_writes_cost() -> None:
    """As `COST` worked out: some 360 units a device and hour with every flush, 17 in five minutes, 9 in ten."""
    units = [answer(*F1, "--durable", durable)["write_units_device_hour"] for durable in ("0s", "1m", "5m", "10m")]
    assert units == pytest.approx([424.1, 61, 13, 10], abs=0.1)


def test_redis_costs_by_how_long_it_keeps_windows() -> None:
    day, week = answer(*F1), answer(*F1, "--fast-retention", "7d")
    assert week["sizing"]["redis_bytes"] > 6 * day["sizing"]["redis_bytes"]
    assert week["sizing"]["table_bytes"] == day["sizing"]["table_bytes"]


def test_the_stream_keeps_what_it_was_asked_for() -> None:
    assert answer(*F1)["fleet"]["stream_retention_s"] == 86_400
    assert answer(*F1, "--stream-retention", "36h")["fleet"]["stream_retention_s"] == 36 * 3_600
    assert "36 hours instead of 24" in printed(*F1, "--stream-retention", "36h")


@pytest.mark.parametrize("text", ["23h", "8d", "169h", "1500s", "2190m", "0h", "a day", ""])
def test_a_stream_that_kinesis_or_the_prices_do_not_have_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        CliRunner().invoke(app, [*F1, "--stream-retention", text], catch_exceptions=False)
    assert refused.value.problems[0].startswith(f"--stream-retention = {text!r}: must be ")


def test_a_device_that_never_reports_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        CliRunner().invoke(
            app, ["size", "--devices", "1", "--interval", "inf", "--metrics", "1"], catch_exceptions=False
        )
    assert refused.value.problems == ("--interval = inf: must be a number of seconds.",)


def test_the_guide_shows_what_is_printed() -> None:
    guide = GUIDE.read_text("utf-8")
    shown = rows("size", "--devices", "10000", "--interval", "5", "--metrics", "5")
    assert [line for line in shown if f"| {' | '.join(line)} |" not in guide] == []


def test_the_demo_says_the_price_that_the_command_beside_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    demo._show_price({"1m": 60_000, "1h": 3_600_000})
    said = capsys.readouterr().out
    price = re.search(r"takes (\d+) USD: (.*) \(telefold (size .*)\)", said)
    assert price is not None, said
    total, by_service, command = price.groups()
    assert round(answer(*command.split())["usd_month"]["total"]) == int(total)
    assert sum(map(int, re.findall(r"\d+", by_service))) == pytest.approx(int(total), abs=3)


def test_the_guide_says_what_makes_it_cheaper() -> None:
    options = ((), ("--durable", "10m"), ("--provisioned",), ("--durable", "10m", "--provisioned"))
    shown = re.findall(r"^\| ([\d ]+), (\d+), (\d+) s \| (.*) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    assert len(shown) == 4
    for devices, metrics, interval, cells in shown:
        fleet = ("--devices", devices.replace(" ", ""), "--metrics", metrics, "--interval", interval)
        for cell, added in zip(cells.split(" | "), options, strict=True):
            said = answer("size", *fleet, "--retention", "7d", *added)
            total = f"{said['usd_month']['total']:,.0f}".replace(",", " ")
            assert cell == f"{total} ({said['write_units_device_hour']:.1f})"
