"""Alerts of the running job: rules that come, change and go, and what is told of it to the outside."""

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from redis import Redis
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.connectors import aws
from telefold.connectors.event_log import read_stream
from telefold.jobs.stores import STORES, open_reader
from telefold.schemas.alerts import CHANNEL, AlertTransition
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange, encode_change
from telefold.schemas.view_rows import OPEN_ALERTS, device_partition
from tests.support.live_job import LiveJob, Sent
from tests.support.waiting import until


class Device:
    """One that reports now and then."""

    def __init__(self, live_job: LiveJob) -> None:
        self.id = uuid4().hex
        self._live = live_job
        self._sent = 0

    def report(self, value: float, site: str = "berlin") -> int:
        """The time of the report."""
        self._sent += 1
        at = time.time_ns() // 1_000_000
        event = DeviceEvent(
            f"{self.id}-{self._sent}", self.id, "telemetry", at, self._sent, {"t": value}, {"site": site}
        )
        self._live.fold([Sent(encode(event), self.id)])
        return at

    def alert(self, rule: str) -> dict[str, Any]:
        """Its row, which is the same in both stores and among all devices' alerts."""
        rows = []
        for store in STORES:
            with closing(open_reader(self._live.settings, store)) as reader:
                rows.append(reader.get(device_partition(self.id), f"alert#{rule}"))
                rows.append(reader.get(OPEN_ALERTS, f"alert#{rule}#{self.id}"))
        found = [{name: row.data[name] for name in row.data if name != "began_at"} for row in rows if row is not None]
        return found[0] if len(found) == len(rows) and found[1:] == found[:-1] else {}

    def await_alert(self, rule: str, **fields: object) -> dict[str, Any]:
        return until(lambda: self.alert(rule), lambda alert: fields.items() <= alert.items())


def telefold(live_job: LiveJob, *arguments: str) -> str:
    done = CliRunner().invoke(app, [*arguments, "--properties", str(live_job.properties)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def await_in_force() -> None:
    """What is heard from now on is judged by the rule that was just put."""
    time.sleep(RULES_SETTLE_MS / 1_000 + 0.1)


@pytest.fixture
def device(live_job: LiveJob) -> Device:
    return Device(live_job)


@pytest.fixture
def rule(live_job: LiveJob, device: Device) -> Iterator[str]:
    """The name of a rule that is gone when the test ends."""
    name = f"r-{device.id[:8]}"
    yield name
    telefold(live_job, "rules", "delete", name)


@pytest.fixture
def channel(live_job: LiveJob) -> Iterator[Any]:
    with Redis.from_url(live_job.settings.views.redis_url) as redis, redis.pubsub() as listener:
        listener.subscribe(CHANNEL)
        until(lambda: listener.get_message(timeout=1), bool)
        yield listener


def told(live_job: LiveJob, device: Device) -> list[AlertTransition]:
    source, stream = live_job.settings.source, live_job.settings.alerts.stream
    assert stream
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        records = [record for record in read_stream(kinesis, stream) if record.partition_key == device.id]
    return [msgspec.json.decode(record.data, type=AlertTransition) for record in records]


def test_an_alert_from_its_rule_to_its_end(live_job: LiveJob, device: Device, rule: str, channel: Any) -> None:
    telefold(live_job, "rules", "put", rule, 't > 80 until < 75 for 1s where site = "ber*"', "--severity", "critical")
    await_in_force()
    began = device.report(90)
    device.await_alert(rule, state="pending")
    time.sleep(1.1)
    fired_at = device.report(91)
    fired = device.await_alert(rule, state="firing", severity="critical", value=90.0, count=1)
    assert fired["since_at"] == fired_at
    telefold(live_job, "alerts", "ack", device.id, rule, "--by", "ada")
    live_job.await_folded(records=1)
    device.await_alert(rule, state="acknowledged")
    ended = device.report(70)
    device.await_alert(rule, state="resolved", since_at=ended)
    listed = msgspec.json.decode(telefold(live_job, "alerts", "history", device.id, "--json"))
    assert [(one["rule"], one["began_at"], one["acknowledged_by"]) for one in listed] == [(rule, began, "ada")]
    messages = until(lambda: told(live_job, device), lambda found: len(found) >= 4)
    assert [one.state for one in messages] == ["pending", "firing", "acknowledged", "resolved"]
    assert [one.at for one in (*messages[:2], messages[3])] == [began, fired_at, ended]
    assert heard(channel, device) == messages


def heard(channel: Any, device: Device) -> list[AlertTransition]:
    found = []
    while (message := channel.get_message(timeout=1)) is not None:
        one = msgspec.json.decode(message["data"], type=AlertTransition)
        found += [one] if one.device_id == device.id else []
    return found


def test_a_rule_judges_a_device_that_says_nothing_more(live_job: LiveJob, device: Device, rule: str) -> None:
    device.report(90)
    telefold(live_job, "rules", "put", rule, "t > 80")
    first = device.await_alert(rule, state="firing")
    telefold(live_job, "rules", "put", rule, "t > 85")
    second = until(lambda: device.alert(rule), lambda alert: alert.get("rule_version_at", 0) > first["rule_version_at"])
    assert (second["state"], second["count"]) == ("firing", 1)
    telefold(live_job, "rules", "put", rule, "t > 95")
    device.await_alert(rule, state="resolved", reason="rule changed")
    telefold(live_job, "rules", "put", rule, "stale(t) > 2s")
    device.await_alert(rule, state="firing", count=2)
    assert device.id in telefold(live_job, "alerts", "list", "--rule", rule, "--json")


def test_what_is_no_rule_changes_nothing(live_job: LiveJob, device: Device, rule: str) -> None:
    source, stream = live_job.settings.source, live_job.settings.alerts.rules_stream
    assert stream
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        for data in (b"\xff", b"[]", b'{"rule": "x"}', b'{"rule": "x", "version": 1, "severity": "bad"}'):
            kinesis.put_record(StreamName=stream, PartitionKey="x", Data=data)
        unreadable = encode_change(RuleChange("x", 2, "t >"))
        kinesis.put_record(StreamName=stream, PartitionKey="x", Data=unreadable)
    telefold(live_job, "rules", "put", rule, "t > 80")
    device.report(90)
    device.await_alert(rule, state="firing")
