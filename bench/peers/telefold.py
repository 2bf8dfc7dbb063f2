"""Telefold as it is: the telemetry job over the archive, as `telefold replay` runs it, but for the store."""

from functools import partial

from bench.log import SPAN_MS, START_MS
from bench.peers import flink
from bench.peers.work import SETTINGS, KeptViews, Timing, Work
from telefold.connectors.archive_reading import Between
from telefold.connectors.retry_policy import OnRetry
from telefold.jobs.run_spec import RunSpec


def run(work: Work) -> Timing:
    from telefold.jobs import telemetry

    build = partial(
        telemetry.build, settings=SETTINGS, connect=partial(connect, str(work.rows)), spec=whole_archive(work)
    )
    return flink.run(work, build)


def whole_archive(work: Work) -> RunSpec:
    return RunSpec(reading=Between(work.inputs.archive, START_MS, START_MS + SPAN_MS), is_live=False)


def connect(folder: str, on_retry: OnRetry) -> KeptViews:
    return KeptViews(folder)
