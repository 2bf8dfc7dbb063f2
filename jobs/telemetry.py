"""The telemetry job: device events in, latest values and rollups out."""

from collections.abc import Callable
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment, Table

from connectors.kinesis import KinesisEvents, read_events, write_archive, write_dead_letters
from connectors.view_sink import OnRetry, write_views
from jobs.assignments import LIVE, Assignment
from jobs.settings import JobSettings, Settings, SourceSettings
from operators.dedup import deduplicate
from operators.flink.jvm import edge
from operators.latest import latest_update
from operators.micro_batch import micro_batches
from operators.partials import combine, partials_table
from operators.rollups import rollup, rollup_update
from operators.view_updates import ViewUpdateSql, union, view_updates
from schemas.view_rows import LATEST, ROLLUPS
from schemas.view_stores import ViewWriter


def build(
    environment: StreamExecutionEnvironment,
    settings: Settings,
    connect: Callable[[OnRetry], ViewWriter],
    assignment: Assignment = LIVE,
) -> None:
    """Wire the whole job into `environment`; `connect` opens the view writer in each task."""
    records = read_events(environment, _events(settings.source), assignment.reading)
    if assignment.is_live and settings.archive.path:
        write_archive(
            records, settings.archive.path, except_for=assignment.read_from_archive, uid=f"archive-{assignment.lineage}"
        )
    fold(environment, records, settings, connect, assignment)


def fold(
    environment: StreamExecutionEnvironment,
    records: DataStream,
    settings: Settings,
    connect: Callable[[OnRetry], ViewWriter],
    assignment: Assignment,
) -> None:
    """Everything behind the source: `records` are `EventRow`s, valid or rejected."""
    job = settings.job
    valid = _filter(records, "valid", edge().Validity.valid())
    rejected = _filter(records, "rejected", edge().Validity.rejected())
    deduplicated = deduplicate(
        valid,
        horizon_ms=job.dedup_horizon,
        lateness_ms=job.rollup_lateness,
        retention_ms=job.state_retention,
        largest_window_ms=job.largest_window,
        cut=assignment.cut,
        corrections=assignment.corrections,
    )
    if assignment.is_live:
        write_dead_letters(
            rejected.union(deduplicated.too_late),
            stream=settings.dead_letter.name,
            region=settings.source.region,
            endpoint=settings.source.endpoint,
        )
    tables = table_environment(environment, job)
    # Of a row's way of `flush.interval` at most, the longer part is where one write then serves for more events.
    combine_ms = job.flush_interval // 4
    batch_ms = job.flush_interval - combine_ms
    partials = combine(
        deduplicated.accepted, window_ms=job.base_window, interval_ms=combine_ms, max_cells=job.flush_size
    )
    updates = all_view_updates(tables, partials_table(tables, partials), settings)
    write_views(micro_batches(tables, updates, interval_ms=batch_ms, max_rows=job.flush_size), connect)


def _filter(records: DataStream, name: str, keep: Any) -> DataStream:
    return DataStream(records._j_data_stream.filter(keep).name(name).uid(name))


def table_environment(environment: StreamExecutionEnvironment, job: JobSettings) -> StreamTableEnvironment:
    """A table environment whose state outlives every window that an event may still reach."""
    tables = StreamTableEnvironment.create(environment)
    state_ttl = job.state_retention + job.rollup_lateness + job.largest_window
    for option, value in {
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{state_ttl} ms",
        "table.exec.sink.upsert-materialize": "NONE",
        "table.exec.uid.generation": "ALWAYS",
    }.items():
        tables.get_config().set(option, value)
    return tables


def all_view_updates(tables: StreamTableEnvironment, partials: Table, settings: Settings) -> Table:
    """The updates of all views as one table, so that they are planned together over one source."""
    return union(
        [
            view_updates(tables, rollup(tables, partials, window), updates)
            for size, window in settings.job.rollup_sizes.items()
            if (updates := _updates_of(size, window, settings))
        ]
    )


def _updates_of(size: str, window: int, settings: Settings) -> list[ViewUpdateSql]:
    updates = []
    if ROLLUPS in settings.job.views:
        updates.append(rollup_update(size, window, settings.views.retention[ROLLUPS]))
    if LATEST in settings.job.views and window == settings.job.base_window:
        updates.append(latest_update(settings.views.retention[LATEST]))
    return updates


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
