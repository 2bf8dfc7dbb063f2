"""Rollups: count, sum, extremes and sum of squares of a metric of a device per window."""

from pyflink.table import StreamTableEnvironment, Table

from operators.sql.view_updates import ViewUpdateSql
from schemas.view_rows import ROLLUPS


def rollup(tables: StreamTableEnvironment, partials: Table, window_ms: int) -> Table:
    """One row per device, metric and window of `window_ms`, from partials of windows that divide it.

    Partials merge in any order, so neither restarts nor parallelism change what a window holds; only the
    last digits of its sums depend on the order of addition.
    """
    start = f"window_start - MOD(window_start, CAST({window_ms} AS BIGINT))"
    return tables.sql_query(f"""
        SELECT
            device_id,
            metric,
            {start} AS window_start,
            SUM(n) AS n,
            SUM(total) AS total,
            MIN(lowest) AS lowest,
            MAX(highest) AS highest,
            SUM(total_sq) AS total_sq,
            MIN(first_at) AS first_at,
            MAX(last_at) AS last_at,
            MAX(last_reading) AS last_reading
        FROM {partials}
        GROUP BY device_id, metric, {start}
    """)


def rollup_update(
    size: str, window_ms: int, retention_s: int | None, partition: str = "'device#' || device_id"
) -> ViewUpdateSql:
    """The view row of a rollup; `size` is its label in the settings. The version counts the events folded."""
    iso_start = "DATE_FORMAT(TO_TIMESTAMP_LTZ(window_start, 3), 'yyyy-MM-dd''T''HH:mm:ss''Z''')"
    expires_at = {} if retention_s is None else {"expires_at": f"(window_start + {window_ms}) / 1000 + {retention_s}"}
    return ViewUpdateSql(
        view=ROLLUPS,
        partition=partition,
        sort=f"'rollup#{size}#' || metric || '#' || {iso_start}",
        version="n",
        data={
            "count": "n",
            "sum": "total",
            "min": "lowest",
            "max": "highest",
            "sum_sq": "total_sq",
            "first_at": "first_at",
            "last_at": "last_at",
        },
        **expires_at,
    )
