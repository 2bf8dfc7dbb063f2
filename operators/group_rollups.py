"""Rollups of groups of devices: added up in each task, and then merged by group, metric and window."""

from collections.abc import Mapping, Sequence

from pyflink.datastream import DataStream

from telefold.edge.java import edge
from telefold.edge.streams import key_by, keyed_as_it_is, transform
from telefold.operators.device_fold import views_in_jvm
from telefold.operators.device_views import group_views
from telefold.operators.flush_budget import FlushBudget

_COMBINE, _MERGE = "combine-groups", "group-rollups"


def roll_up_groups(
    accepted: DataStream,
    attributes: Sequence[str],
    sizes: Mapping[str, int],
    retention_s: int | None,
    *,
    interval_ms: int,
    max_rows: int,
    retention_ms: int,
) -> DataStream:
    """Rollups of all devices, `fleet#all`, and of those whose newest attribute, one of `attributes`, has a value,
    `fleet#<attribute>#<value>`, as `operators.device_fold.Folded.batches` has them.

    `accepted` are deduplicated events with their increases, partitioned by device as their fold has left them. What a
    task has of a group is one row a metric, window and flush, so that a group is no hot key however large it is. A
    device that is heard again after `retention_ms` is in the group of all alone until it says an attribute again.

    What is known of a window is kept until its rows end, `retention_s` seconds after it, by the time of the log; if
    they are kept for ever, for `retention_ms`. An event that arrives later than that adds nothing to them.
    """
    keyed = keyed_as_it_is(accepted, edge().event.DeviceKey())
    views = views_in_jvm(group_views(sizes, retention_s))
    kept_ms = retention_ms if retention_s is None else retention_s * 1_000
    budget = FlushBudget(interval_ms)
    combine = edge().groups.GroupCombine(list(attributes), views, kept_ms, retention_ms, budget.combined_ms, max_rows)
    partials = transform(keyed, combine, edge().groups.GroupCombine.partialType(), _COMBINE)
    merge = edge().groups.GroupRollups(views, kept_ms, budget.merged_ms, max_rows)
    by_group = key_by(partials, edge().groups.GroupRollups.key())
    return transform(by_group, merge, edge().view.RowLines.batchType(), _MERGE)
