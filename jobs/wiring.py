"""Where the job's parts are put together, for a run on this machine and on a cluster alike."""

from functools import partial
from typing import Any

from jobs import stores
from jobs.assignments import Assignment
from jobs.rules import RuleBook
from jobs.settings import Settings
from schemas.rules import RuleChange


def build_telemetry(flink: Any, loaded: Settings, assignment: Assignment) -> None:
    """Wire the job into `flink`, a StreamExecutionEnvironment."""
    from jobs import telemetry

    publishes = assignment.is_live and loaded.judges_by_rules
    opened = stores.open_publishing_writer if publishes else stores.open_writer
    connect = partial(opened, loaded, generation=assignment.generation)
    telemetry.build(flink, loaded, connect, assignment, _known_rules(loaded))


def _known_rules(loaded: Settings) -> list[RuleChange]:
    if not loaded.judges_by_rules:
        return []
    with RuleBook(loaded) as book:
        return book.known()
