"""Latest: the newest reading of every metric of a device."""

from operators.sql.view_updates import ViewUpdateSql
from schemas.view_rows import LATEST

_VALUE_STARTS_AT = 33
"""Where the value begins in `last_reading`, behind event_time and sequence as 16 hexadecimal digits each."""


def latest_update(retention_s: int | None) -> ViewUpdateSql:
    """The view row of the newest reading, taken from the smallest rollup.

    That rollup already knows the newest reading of its window, readings of equal event_time always share a window,
    and between windows the stores keep the row with the higher version, which is the event_time.
    """
    expires_at = {} if retention_s is None else {"expires_at": f"last_at / 1000 + {retention_s}"}
    return ViewUpdateSql(
        view=LATEST,
        partition="'device#' || device_id",
        sort="'latest#' || metric",
        version="last_at",
        data={"value": f"CAST(SUBSTRING(last_reading FROM {_VALUE_STARTS_AT}) AS DOUBLE)", "at": "last_at"},
        **expires_at,
    )
