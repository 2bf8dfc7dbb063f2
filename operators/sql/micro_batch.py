"""Micro-batches of view updates: of every row only its newest state, a few hundred rows at a time."""

from pyflink.datastream import DataStream
from pyflink.table import DataTypes, Schema, StreamTableEnvironment, Table
from pyflink.table.changelog_mode import ChangelogMode

from operators.flink.jvm import edge, transform

_MAX_CHARACTERS = 64 * 1024 * 1024


def micro_batches(tables: StreamTableEnvironment, updates: Table, *, interval_ms: int, max_rows: int) -> DataStream:
    """`updates` as rows of (count, that many `row_json` lines), each row_key at most once and with its highest version.

    Flushed every `interval_ms`, at `max_rows`, and before every checkpoint barrier, so that none is kept over it.
    """
    schema = (
        Schema.new_builder()
        .column("row_key", DataTypes.STRING().not_null())
        .column("version", DataTypes.BIGINT())
        .column("row_json", DataTypes.STRING())
        .primary_key("row_key")
        .build()
    )
    changes = tables.to_changelog_stream(updates, schema, ChangelogMode.upsert())
    operator = edge().MicroBatch.latest(interval_ms, max_rows, _MAX_CHARACTERS)
    return transform(changes, "micro-batch", "micro-batch", edge().MicroBatch.latestType(), operator)
