"""Where the job's parts are put together, for a run on this machine and on a cluster alike."""

from functools import partial
from typing import Any

from jobs import stores
from jobs.assignments import Assignment
from jobs.settings import Settings


def build_telemetry(flink: Any, loaded: Settings, assignment: Assignment) -> None:
    """Wire the job into `flink`, a StreamExecutionEnvironment."""
    from jobs import telemetry

    connect = partial(stores.open_writer, loaded, generation=assignment.generation)
    telemetry.build(flink, loaded, connect, assignment)
