"""The rollups of `operators.device_fold` in SQL: what they must agree with, row by row, and are measured against."""

from collections.abc import Mapping

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from operators.sql.micro_batch import micro_batches
from operators.sql.partials import combine, partials_table
from operators.sql.rollups import rollup, rollup_update
from operators.sql.view_updates import union, view_updates


def fold_in_sql(
    environment: StreamExecutionEnvironment,
    accepted: DataStream,
    sizes: Mapping[str, int],
    retention_s: int | None,
    *,
    state_ttl_ms: int,
    interval_ms: int,
    max_rows: int,
) -> DataStream:
    """The rollups of deduplicated events as batches of rows, as `operators.device_fold.Folded.batches` has them."""
    tables = table_environment(environment, state_ttl_ms)
    # The longer part of the interval is where one write then serves for more events.
    combine_ms = interval_ms // 4
    smallest = min(sizes.values())
    partials = partials_table(tables, combine(accepted, window_ms=smallest, interval_ms=combine_ms, max_cells=max_rows))
    updates = union(
        [
            view_updates(tables, rollup(tables, partials, ms), [rollup_update(size, ms, retention_s)])
            for size, ms in sizes.items()
        ]
    )
    return micro_batches(tables, updates, interval_ms=interval_ms - combine_ms, max_rows=max_rows)


def table_environment(environment: StreamExecutionEnvironment, state_ttl_ms: int) -> StreamTableEnvironment:
    """For folds in SQL; state that was not touched for so long is dropped."""
    tables = StreamTableEnvironment.create(environment)
    for option, value in {
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{state_ttl_ms} ms",
        "table.exec.sink.upsert-materialize": "NONE",
        "table.exec.uid.generation": "ALWAYS",
    }.items():
        tables.get_config().set(option, value)
    return tables
