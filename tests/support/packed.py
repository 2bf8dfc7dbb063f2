"""Rows taken out of what a fold has written, item by item."""

from collections.abc import Iterator

from telefold.schemas.packed_rows import unpack
from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewUpdate


def rows_of(update: ViewUpdate) -> Iterator[ViewUpdate]:
    """An update as it is if it is a row; else all rows in the item."""
    if update.packed is None:
        yield update
        return
    for row in unpack(update.packed):
        view = LATEST if row.sort.startswith("latest#") else ROLLUPS
        yield ViewUpdate(view, update.partition, row.sort, row.version, row.data, row.expires_at)
