"""A fleet's records in a local stack's stream, all at once."""

import time
from contextlib import closing

from telefold.connectors import aws
from telefold.jobs.settings import Settings
from telefold.simulator import produce
from telefold.simulator.generator import Spec, generate

SPAN_MS = 600_000


def send_fleet(settings: Settings, spec: Spec, span_ms: int = SPAN_MS) -> list[bytes]:
    """Every record that was sent, in order; the events fill the `span_ms` that end now, ten minutes by default."""
    records = list(generate(spec, time.time_ns() // 1_000_000 - span_ms, span_ms))
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        produce.send(kinesis, settings.source.name, records)
    return [record.data for record in records]
