"""What a rule would find among the devices now, before it is put or right after."""

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from jobs import stores
from jobs.settings import Settings
from operators.alerts.condition import DEVICE, Condition, parse

DEVICES_LOOKED_AT = 500
_NAMES_SHOWN = 5


class Outlook(NamedTuple):
    """What a rule would find now among some devices of the fleet, whatever their attributes."""

    devices: int
    having: int
    """Those that have sent its metric."""
    breaking: int
    """Those whose newest reading breaks it; of staleness and rates a reading alone does not tell."""
    meant: tuple[str, ...] = ()
    """Where none has: metrics with a name like it, or else some that there are."""

    @classmethod
    def of(cls, condition: Condition, readings: Mapping[str, Mapping[str, float]]) -> "Outlook":
        scope = [match for match in condition.scope if match.name == DEVICE]
        meant = [found for device, found in readings.items() if all(match.holds(device) for match in scope)]
        metric = condition.metric
        if metric is None:
            return cls(len(meant), len(meant), 0)
        values = [found[metric] for found in meant if metric in found]
        breaking = sum(map(condition.bound.holds, values)) if condition.kind == "value" else 0
        known = sorted({name for found in meant for name in found})
        near = () if values else tuple(difflib.get_close_matches(metric, known, n=_NAMES_SHOWN) or known[:_NAMES_SHOWN])
        return cls(len(meant), len(values), breaking, near)


def outlook(settings: Settings, condition: str) -> Outlook:
    """Raises BadRule if the condition cannot be read."""
    return Outlook.of(parse(condition), stores.some_readings(settings, DEVICES_LOOKED_AT))
