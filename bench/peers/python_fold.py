"""The fold `device` as a job runs it: the accepted events of the log in micro-batches of about ten a device."""

from functools import partial
from typing import Any

from bench.log import FLEET
from bench.peers import flink
from bench.peers.telefold import connect, whole_archive
from bench.peers.work import SETTINGS, Timing, Work
from telefold.connectors.view_sink import write_views
from telefold.operators.folds.device import Device

EVENTS_A_BATCH = 10
_NEVER_MS = 3_600_000
"""Batches leave when they are full."""


def run(work: Work) -> Timing:
    def build(environment: Any) -> None:
        from telefold.operators.python_folds import fold_in_python

        folded = fold_in_python(
            accepted(environment, work),
            [Device()],
            interval_ms=_NEVER_MS,
            max_events=EVENTS_A_BATCH * FLEET.devices,
            retention_ms=SETTINGS.job.device_retention_ms,
        )
        write_views([folded.batches], partial(connect, str(work.rows)))

    return flink.run(work, build)


def accepted(environment: Any, work: Work) -> Any:
    """The events that the job's own fold has accepted; its rows go nowhere."""
    from telefold.jobs import telemetry

    spec = whole_archive(work)
    return telemetry.fold(telemetry.read(environment, SETTINGS, spec), SETTINGS, spec).accepted
