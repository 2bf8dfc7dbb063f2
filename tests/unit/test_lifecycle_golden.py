"""What is known of a device, by the cases that JUnit holds groups of the JVM to: `tests/golden/attributes.json`."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from telefold.operators.folds.lifecycle import Lifecycle
from telefold.schemas.events import DeviceEvent

CASES: list[dict[str, Any]] = msgspec.json.decode(
    (Path(__file__).parents[1] / "golden" / "attributes.json").read_bytes()
)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_attributes_are_known_by_one_rule(case: dict[str, Any]) -> None:
    known = Lifecycle()
    for event in case["events"]:
        known = known.told(DeviceEvent(device_id="d", metrics={}, **event), ("site", "model"))
    assert known.values == case["known"]
