"""Rows as tests of stores write them, and as they must be read."""

from telefold.schemas.view_rows import ViewRow, ViewUpdate

LARGEST = 2**63 - 1


def row(
    sort: str, version: int = 1, value: float = 0, expires_at: int | None = None, partition: str = "device#1"
) -> ViewUpdate:
    return ViewUpdate("latest", partition, sort, version, {"value": value, "at": 1_700_000_000_000}, expires_at)


def rows(count: int, version: int = 1) -> list[ViewUpdate]:
    return [row(f"latest#{n:03}", version) for n in range(count)]


def as_read(update: ViewUpdate) -> ViewRow:
    return ViewRow(update.sort, update.version, update.data, update.expires_at)
