"""Rollups of groups of devices: combined in each task, and then merged in SQL."""

from collections.abc import Mapping, Sequence

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from operators.flink.jvm import edge
from operators.sql.fold import table_environment
from operators.sql.micro_batch import micro_batches
from operators.sql.partials import partials_table
from operators.sql.rollups import rollup, rollup_update
from operators.sql.view_updates import union, view_updates

_PARTITION = "'fleet#' || device_id"
_NAME = "combine-groups"


def roll_up_groups(
    environment: StreamExecutionEnvironment,
    accepted: DataStream,
    attributes: Sequence[str],
    sizes: Mapping[str, int],
    kept_s: int | None,
    *,
    state_ttl_ms: int,
    interval_ms: int,
    max_rows: int,
    retention_ms: int,
) -> DataStream:
    """Rollups of all devices, `fleet#all`, and of those whose newest attribute, one of `attributes`, has a value,
    `fleet#<attribute>#<value>`, as `operators.device_fold.Folded.batches` has them.

    `accepted` are deduplicated events in the partitioning by device that their fold has given them. What a task has of
    a group is one row a metric, window and flush, so that a group is no hot key however large it is. A device that has
    said nothing for `retention_ms` is in the group of all alone until it says an attribute again.
    """
    keyed = get_gateway().jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils.reinterpretAsKeyedStream(
        accepted._j_data_stream, edge().DeviceKey(), get_gateway().jvm.org.apache.flink.api.common.typeinfo.Types.STRING
    )
    smallest, combine_ms = min(sizes.values()), max(1, interval_ms // 4)
    operator = edge().GroupCombine(list(attributes), smallest, combine_ms, max_rows, retention_ms)
    combined = keyed.transform(_NAME, edge().PartialRow.type(), operator).uid(_NAME)
    tables = table_environment(environment, state_ttl_ms)
    partials = partials_table(tables, DataStream(combined))
    updates = union(
        [
            view_updates(tables, rollup(tables, partials, ms), [rollup_update(size, ms, kept_s, _PARTITION)])
            for size, ms in sizes.items()
        ]
    )
    return micro_batches(tables, updates, interval_ms=max(1, interval_ms - combine_ms), max_rows=max_rows)
