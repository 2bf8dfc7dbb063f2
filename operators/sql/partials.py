"""Partials: what the events of a device, metric and smallest window add up to since the last flush."""

from pyflink.datastream import DataStream
from pyflink.table import DataTypes, Schema, StreamTableEnvironment, Table

from operators.flink.jvm import edge, transform

_COLUMNS = {
    "device_id": DataTypes.STRING(),
    "metric": DataTypes.STRING(),
    "window_start": DataTypes.BIGINT(),
    "n": DataTypes.BIGINT(),
    "total": DataTypes.DOUBLE(),
    "lowest": DataTypes.DOUBLE(),
    "highest": DataTypes.DOUBLE(),
    "total_sq": DataTypes.DOUBLE(),
    "first_at": DataTypes.BIGINT(),
    "last_at": DataTypes.BIGINT(),
    "last_reading": DataTypes.STRING(),
}


def combine(events: DataStream, *, window_ms: int, interval_ms: int, max_cells: int) -> DataStream:
    """Append-only partials, flushed every `interval_ms`, at `max_cells` and before every checkpoint barrier.

    Nothing is kept over a checkpoint, so there is no state to restore; merging the partials is SQL's part.
    """
    return transform(
        events, "combine", "combine", edge().PartialRow.type(), edge().Combine(window_ms, interval_ms, max_cells)
    )


def partials_table(tables: StreamTableEnvironment, partials: DataStream) -> Table:
    schema = Schema.new_builder()
    for name, kind in _COLUMNS.items():
        schema.column(name, kind)
    return tables.from_data_stream(partials, schema.build())
