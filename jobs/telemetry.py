"""The telemetry job: device events in; latest values, rollups and what is folded in Python out."""

from collections.abc import Callable, Sequence

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from telefold.connectors.kinesis import read_events, read_rules, write_archive, write_dead_letters
from telefold.connectors.retry_policy import OnRetry
from telefold.connectors.view_sink import write_views
from telefold.edge.java import edge
from telefold.edge.streams import keep_if
from telefold.jobs.run_spec import LIVE, RunSpec
from telefold.jobs.settings import Settings
from telefold.operators.device_fold import Folded, TimeRules, fold_devices
from telefold.operators.device_views import device_views
from telefold.operators.due_rows import until_due
from telefold.operators.flush_budget import FlushBudget
from telefold.operators.folds.registry import find_all
from telefold.operators.group_rollups import roll_up_groups
from telefold.operators.python_folds import Rules, fold_in_python
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ROLLUPS
from telefold.schemas.view_stores import ViewWriter

KEY_GROUPS = 512
"""Parts that keyed state is divided into, wherever the job runs: twice the largest parallelism that the settings take.

It is of the state, which no job with another number can read. Flink's own depends on the parallelism that a job began
with, and one that began small could never have more than 128 tasks.
"""


def build(
    environment: StreamExecutionEnvironment,
    settings: Settings,
    connect: Callable[[OnRetry], ViewWriter],
    spec: RunSpec = LIVE,
    rules: Sequence[RuleChange] = (),
) -> None:
    """Wire the whole job into `environment`; `connect` opens the view writer in each task.

    `rules` are those that are known before the stream of rules is read, for the fold that goes by them.
    """
    environment.set_max_parallelism(KEY_GROUPS)
    records = read(environment, settings, spec)
    if spec.is_live and settings.archive.path:
        write_archive(records, settings.archive.path, except_for=spec.read_from_archive, uid=f"archive-{spec.lineage}")
    folded = fold(records, settings, spec)
    others, set_aside = list[DataStream](), list[DataStream]()
    if settings.job.folds and spec.folds_in_python:
        in_python = fold_in_python(
            folded.accepted,
            find_all(settings.job.folds, settings.job.rollup_lateness_ms),
            interval_ms=settings.job.flush_interval_ms,
            max_events=settings.job.flush_size,
            retention_ms=settings.job.device_retention_ms,
            rules=_rules(environment, settings, rules) if settings.judges_by_rules else None,
        )
        others.append(in_python.batches)
        set_aside += in_python.set_aside
    if settings.job.group_rollups and spec.folds_in_python:
        others.append(_group_rollups(folded.accepted, settings))
    batches = [folded.batches]
    if others:
        rows_ms, durable_ms = FlushBudget(settings.job.flush_interval_ms).rows_ms, _durable_ms(settings, spec)
        batches.append(until_due(others, interval_ms=rows_ms, durable_ms=durable_ms))
    set_aside.append(write_views(batches, connect))
    if spec.is_live:
        write_dead_letters(
            keep_if(records, edge().intake.Intake.rejected(), "rejected").union(folded.set_aside),
            set_aside,
            stream=settings.dead_letter.name,
            region=settings.source.region,
            endpoint=settings.source.endpoint,
        )


def read(environment: StreamExecutionEnvironment, settings: Settings, spec: RunSpec) -> DataStream:
    """The records that the run is to read, as `Event`s of the edge."""
    return read_events(environment, settings.source, spec.reading)


def fold(records: DataStream, settings: Settings, spec: RunSpec) -> Folded:
    """The valid ones of `records`, folded into the views that the settings ask for."""
    job = settings.job
    return fold_devices(
        keep_if(records, edge().intake.Intake(), "valid"),
        device_views(job.rollup_sizes, job.views, settings.views.retention),
        TimeRules(
            job.dedup_horizon_ms,
            job.rollup_lateness_ms,
            job.state_retention_ms,
            job.largest_window_ms,
            job.device_retention_ms,
        ),
        interval_ms=job.flush_interval_ms,
        max_rows=job.flush_size,
        durable_ms=_durable_ms(settings, spec),
        cut=spec.cut,
        corrections=spec.corrections,
        rows_since_ms=spec.rows_since_ms,
        tells_increases=bool(job.group_rollups) and spec.folds_in_python,
    )


def _durable_ms(settings: Settings, spec: RunSpec) -> int:
    """Other runs than the live one read so much of the log between two flushes that little would be spared."""
    return settings.job.durable_interval_ms if spec.is_live else 0


def _group_rollups(accepted: DataStream, settings: Settings) -> DataStream:
    job = settings.job
    return roll_up_groups(
        accepted,
        job.group_rollups,
        job.rollup_sizes,
        settings.views.retention[ROLLUPS],
        interval_ms=job.flush_interval_ms,
        max_rows=job.flush_size,
        retention_ms=job.device_retention_ms,
    )


def _rules(environment: StreamExecutionEnvironment, settings: Settings, known: Sequence[RuleChange]) -> Rules:
    source, stream = settings.source, settings.alerts.rules_stream or ""
    return Rules(read_rules(environment, stream=stream, region=source.region, endpoint=source.endpoint), known)
