"""The telemetry job: device events in; latest values, rollups and what is folded in Python out."""

from collections.abc import Callable, Sequence
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from connectors.kinesis import KinesisEvents, read_events, read_rules, write_archive, write_dead_letters
from connectors.patience import OnRetry
from connectors.view_sink import write_views
from jobs.assignments import LIVE, Assignment
from jobs.settings import Settings, SourceSettings
from operators.device_fold import Folded, TimeRules, fold_devices
from operators.device_views import device_views
from operators.flink.jvm import edge
from operators.folds.registry import find_all
from operators.group_rollups import roll_up_groups
from operators.python_folds import Rules, fold_in_python
from schemas.rules import RuleChange
from schemas.view_rows import ROLLUPS
from schemas.view_stores import ViewWriter

KEY_GROUPS = 512
"""Parts that keyed state is divided into, wherever the job runs: twice the largest parallelism that the settings take.

It is of the state, which no job with another number can read. Flink's own depends on the parallelism that a job began
with, and one that began small could never have more than 128 tasks.
"""


def build(
    environment: StreamExecutionEnvironment,
    settings: Settings,
    connect: Callable[[OnRetry], ViewWriter],
    assignment: Assignment = LIVE,
    rules: Sequence[RuleChange] = (),
) -> None:
    """Wire the whole job into `environment`; `connect` opens the view writer in each task.

    `rules` are those that are known before the stream of rules is read, for the fold that goes by them.
    """
    environment.set_max_parallelism(KEY_GROUPS)
    records = read(environment, settings, assignment)
    if assignment.is_live and settings.archive.path:
        write_archive(
            records, settings.archive.path, except_for=assignment.read_from_archive, uid=f"archive-{assignment.lineage}"
        )
    folded = fold(records, settings, assignment)
    batches, set_aside = folded.batches, list[DataStream]()
    if settings.job.folds and assignment.folds_in_python:
        in_python = fold_in_python(
            folded.accepted,
            find_all(settings.job.folds),
            interval_ms=settings.job.flush_interval,
            max_events=settings.job.flush_size,
            retention_ms=settings.job.device_retention,
            rules=_rules(environment, settings, rules) if settings.judges_by_rules else None,
        )
        batches = batches.union(in_python.batches)
        set_aside += in_python.set_aside
    if settings.job.group_rollups and assignment.folds_in_python:
        batches = batches.union(_group_rollups(environment, folded.accepted, settings))
    set_aside.append(write_views(batches, connect))
    if assignment.is_live:
        write_dead_letters(
            _filter(records, "rejected", edge().Validity.rejected()).union(folded.set_aside),
            set_aside,
            stream=settings.dead_letter.name,
            region=settings.source.region,
            endpoint=settings.source.endpoint,
        )


def read(environment: StreamExecutionEnvironment, settings: Settings, assignment: Assignment) -> DataStream:
    """The records that the assignment is to read, as `EventRow`s."""
    return read_events(environment, _events(settings.source), assignment.reading)


def fold(records: DataStream, settings: Settings, assignment: Assignment) -> Folded:
    """The valid ones of `records`, folded into the views that the settings ask for."""
    job = settings.job
    return fold_devices(
        _filter(records, "valid", edge().Intake()),
        device_views(job.rollup_sizes, job.views, settings.views.retention),
        TimeRules(
            job.dedup_horizon, job.rollup_lateness, job.state_retention, job.largest_window, job.device_retention
        ),
        interval_ms=job.flush_interval,
        max_rows=job.flush_size,
        cut=assignment.cut,
        corrections=assignment.corrections,
        rows_since_ms=assignment.rows_since_ms,
    )


def _group_rollups(environment: StreamExecutionEnvironment, accepted: DataStream, settings: Settings) -> DataStream:
    job = settings.job
    return roll_up_groups(
        environment,
        accepted,
        job.group_rollups,
        job.rollup_sizes,
        settings.views.retention[ROLLUPS],
        state_ttl_ms=job.state_retention + job.largest_window + job.rollup_lateness,
        interval_ms=job.flush_interval,
        max_rows=job.flush_size,
        retention_ms=job.device_retention,
    )


def _rules(environment: StreamExecutionEnvironment, settings: Settings, known: Sequence[RuleChange]) -> Rules:
    source, stream = settings.source, settings.alerts.rules_stream or ""
    return Rules(read_rules(environment, stream=stream, region=source.region, endpoint=source.endpoint), known)


def _filter(records: DataStream, name: str, keep: Any) -> DataStream:
    return DataStream(records._j_data_stream.filter(keep).name(name).uid(name))


def _events(source: SourceSettings) -> KinesisEvents:
    return KinesisEvents(
        stream=source.name,
        region=source.region,
        endpoint=source.endpoint,
        initial_position=source.init_position,
        initial_timestamp=source.init_timestamp,
        consumer_name=source.consumer_name,
        max_out_of_orderness_ms=source.max_out_of_orderness,
        shard_idle_ms=source.shard_idle,
    )
