"""What a rule would find among the devices, before it is put."""

import pytest

from jobs.rule_outlook import Outlook
from operators.alerts.condition import parse

READINGS = {
    "pump-1": {"temperature": 81.0, "pressure": 2.0},
    "pump-2": {"temperature": 79.0},
    "fan-1": {"speed": 900.0},
}


@pytest.mark.parametrize(
    ("condition", "outlook"),
    [
        ("temperature > 80", Outlook(3, 2, 1)),
        ('temperature > 70 where device = "pump-*" and site = "berlin"', Outlook(2, 2, 2)),
        ("rate(pressure) < -2/m", Outlook(3, 1, 0)),
        ("stale() > 10m", Outlook(3, 3, 0)),
        ("temprature > 80", Outlook(3, 0, 0, ("temperature",))),
        ("x > 80", Outlook(3, 0, 0, ("pressure", "speed", "temperature"))),
        ('speed > 1 where device = "pump-*"', Outlook(2, 0, 0, ("pressure", "temperature"))),
        ('x > 1 where device = "none"', Outlook(0, 0, 0)),
    ],
)
def test_a_rule_says_whom_it_would_concern_and_which_metric_was_meant(condition: str, outlook: Outlook) -> None:
    assert Outlook.of(parse(condition), READINGS) == outlook
