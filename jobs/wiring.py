"""The job's parts, put together for a run on this machine and on a cluster alike."""

from functools import partial
from typing import Any

from telefold.jobs import stores
from telefold.jobs.run_spec import RunSpec
from telefold.jobs.settings import Settings
from telefold.schemas.leases import Lease
from telefold.schemas.rules import RuleChange


def build_telemetry(flink: Any, loaded: Settings, spec: RunSpec, lease: Lease | None = None) -> None:
    """Wire the job into `flink`, a StreamExecutionEnvironment; the live job holds a `lease`, and no other does."""
    from telefold.jobs import telemetry

    connect = partial(stores.open_writer, loaded, generation=spec.generation)
    if lease is not None:
        connect = partial(stores.open_leased_writer, loaded, generation=spec.generation, lease=lease)
    telemetry.build(flink, loaded, connect, spec, _known_rules(loaded))


def _known_rules(loaded: Settings) -> list[RuleChange]:
    if not loaded.judges_by_rules:
        return []
    with stores.open_rule_book(loaded) as book:
        return book.known()
