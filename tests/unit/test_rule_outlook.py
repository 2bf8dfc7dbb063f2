"""What a rule would find among the devices, before it is put."""

import pytest

from telefold.operators.alerts.condition import parse
from telefold.schemas.view_rows import Data, ViewRow
from telefold.upkeep.rule_outlook import Breaking, Outlook, Shown

NOW = 1_000_000


def shown(rows: dict[str, Data]) -> Shown:
    return Shown.by(ViewRow(sort, 1, data) for sort, data in rows.items())


DEVICES = {
    "pump-1": shown(
        {
            "latest#temperature": {"value": 81.0, "at": 900_000},
            "latest#pressure": {"value": 2.0, "at": 100_000},
            "device": {"status": "registered", "attribute.site": "berlin"},
            "presence": {"status": "online", "last_report_at": 990_000},
        }
    ),
    "pump-2": shown({"latest#temperature": {"value": 79.0, "at": 300_000}}),
    "fan-1": shown({"latest#speed": {"value": 900.0, "at": 500_000}, "device": {"status": "unknown"}}),
    "old-1": shown({"latest#temperature": {"value": 99.0, "at": 1}, "device": {"status": "retired"}}),
}
HOT = Breaking("pump-1", 81.0, 900_000)
WARM = Breaking("pump-2", 79.0, 300_000)


@pytest.mark.parametrize(
    ("condition", "outlook"),
    [
        ("temperature > 80", Outlook(3, 2, (HOT,))),
        ('temperature > 70 where device = "pump-*"', Outlook(2, 2, (HOT, WARM))),
        ('temperature > 70 where site = "berlin"', Outlook(2, 2, (HOT, WARM), unknown=1)),
        ('temperature > 70 where site = "lisbon" and device != "pump-2"', Outlook(0, 0)),
        ("rate(pressure) < -2/m", Outlook(3, 1)),
        ("increase(pressure) > 2 over 1m", Outlook(3, 1)),
        ("stale() > 5m", Outlook(3, 3, (Breaking("fan-1", None, 500_000), Breaking("pump-2", None, 300_000)))),
        ("stale(pressure) > 10m", Outlook(3, 1, (Breaking("pump-1", None, 100_000),))),
        ("temprature > 80", Outlook(3, 0, (), ("temperature",))),
        ("x > 80", Outlook(3, 0, (), ("pressure", "speed", "temperature"))),
        ('speed > 1 where device = "pump-*"', Outlook(2, 0, (), ("pressure", "temperature"))),
        ('x > 1 where device = "none"', Outlook(0, 0)),
    ],
)
def test_a_rule_says_whom_it_would_concern_and_which_metric_was_meant(condition: str, outlook: Outlook) -> None:
    assert Outlook.of(parse(condition), DEVICES.items(), NOW) == outlook


BEHIND = shown(
    {
        "latest#t": {"value": 20.0, "at": 1},
        "presence": {"status": "online", "since_at": 1, "outages": 0},
        "presence#metric#t": {"status": "online", "since_at": 1},
    }
)
BEFORE_ALL = shown(
    {
        "device": {"status": "registered", "registered_at": 200_000},
        "presence": {"status": "offline", "since_at": 300_000, "interval_ms": 1, "outages": 0},
    }
)
RETIRED = shown({"latest#t": {"value": 99.0, "at": 1}, "presence": {"status": "retired", "since_at": 2, "outages": 0}})


@pytest.mark.parametrize(
    ("condition", "outlook"),
    [
        ("stale() > 5m", Outlook(2, 2, (Breaking("never", None, 200_000),))),
        ("stale(t) > 5m", Outlook(2, 1, (Breaking("never", None, 200_000),))),
        ("stale() > 14m", Outlook(2, 2)),
        ("t > 80", Outlook(2, 1)),
    ],
)
def test_who_is_online_is_not_stale_and_who_never_reported_is(condition: str, outlook: Outlook) -> None:
    devices = {"behind": BEHIND, "never": BEFORE_ALL, "retired": RETIRED}
    assert Outlook.of(parse(condition), devices.items(), NOW) == outlook
