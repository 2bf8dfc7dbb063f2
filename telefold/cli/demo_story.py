"""The demo's second part: a device gets too hot, cools down and falls silent."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from telefold.cli import alerts, query, rules
from telefold.cli.query_fleet import fleet
from telefold.connectors import aws
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_reader
from telefold.schemas.codec import encode
from telefold.schemas.errors import JobError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Value, device_partition
from telefold.simulator import produce
from telefold.simulator.generator import GeneratedRecord

_DEVICE, _RULE = "boiler-7", "too-hot"
_CONDITION = "temperature > 80 until < 75"
_PATIENCE_S = 90.0


class Story:
    """`step` says what comes next: a title, and what a person would type for it."""

    def __init__(self, loaded: Settings, properties: Path, step: Callable[[str, str], None]) -> None:
        self._loaded = loaded
        self._properties = properties
        self._step = step
        self._sent: list[GeneratedRecord] = []

    def tell(self) -> list[GeneratedRecord]:
        """The records that were sent for it."""
        self._step("Alert", f"telefold rules put {_RULE} '{_CONDITION}' --severity critical")
        rules.put(_RULE, _CONDITION, "critical", self._properties)
        self._send("configured", attributes={"site": "berlin", "report_interval_s": "1"})
        self._report(61.5)
        self._report(85.0)
        self._await(f"alert#{_RULE}", {"state": "firing"})
        self._step("Alert", f"{_DEVICE} reports 85 degrees; telefold alerts list")
        alerts.list_alerts(properties=self._properties)
        self._report(70.0)
        self._await(f"alert#{_RULE}", {"state": "resolved"})
        self._step("Alert", f"{_DEVICE} reports 70 degrees, and then nothing more; telefold alerts history {_DEVICE}")
        alerts.history(_DEVICE, properties=self._properties)
        self._step("Fleet", "the others have ended their day; telefold query fleet")
        fleet(properties=self._properties)
        self._await("presence", {"status": "offline"})
        self._step("Presence", f"a second is its interval, and three were missed; telefold query device {_DEVICE}")
        query.device(_DEVICE, properties=self._properties)
        return self._sent

    def _report(self, temperature: float) -> None:
        self._send("telemetry", {"temperature": temperature})

    def _send(
        self, kind: str, metrics: Mapping[str, float] | None = None, attributes: Mapping[str, str] | None = None
    ) -> None:
        number, now = len(self._sent), time.time_ns() // 1_000_000
        event = DeviceEvent(f"{_DEVICE}-{now}-{number}", _DEVICE, kind, now, number, metrics or {}, attributes or {})
        record = GeneratedRecord(encode(event), _DEVICE, "event")
        source = self._loaded.source
        with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
            produce.send(kinesis, source.name, [record])
        self._sent.append(record)

    def _await(self, sort: str, wanted: Mapping[str, Value]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        with closing(open_reader(self._loaded, "dynamodb")) as reader:
            while (
                row := reader.get(device_partition(_DEVICE), sort)
            ) is None or not wanted.items() <= row.data.items():
                if time.monotonic() > deadline:
                    raise JobError(f"{_DEVICE} did not come to {dict(wanted)} within {_PATIENCE_S:.0f} s.")
                time.sleep(0.1)
