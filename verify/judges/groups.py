"""Rows of groups of devices: sums over what single devices add to them, and lists of the highest readings.

A row's version is the time of the newest change times 1 024 and the number of changes. What ended, a day after all its
sums were 0 or at its own end, may have begun anew or gone on, as the job's time went: of such a row both versions
count, and all between.
"""

from collections.abc import Iterator, Mapping

from telefold.schemas.view_rows import Value
from telefold.verify.judges.rows import Row, iso_seconds

CHANGES_A_MILLISECOND = 1_024
EMPTY_KEPT_S = 86_400
TOP = 10
MANY = 8 * TOP
PARTITION = "fleet#"
ALL_GROUPS = "fleets"


class GroupRow:
    """A row. `is_bounded`: how often it changed is not known, but at most as often as here."""

    __slots__ = (
        "by_time", "changes", "changes_since", "ended", "ends_at", "highs", "is_bounded", "latest", "possible",
        "possible_at", "sums",
    )  # fmt: skip

    def __init__(self, is_bounded: bool = False) -> None:
        self.sums: dict[str, float] = {}
        self.highs: dict[str, float] = {}
        self.changes = self.latest = 0
        self.ends_at: int | None = None
        """The row's own end, in epoch seconds."""
        self.is_bounded = is_bounded
        self.possible = self.possible_at = 0
        """Changes that only may have been, and when the last of them."""
        self.ended = False
        """Whether it may have ended and begun anew."""
        self.changes_since = 0
        """The changes since the row may have ended."""
        self.by_time = False
        """Whether time alone made the newest change."""

    def _set_end(self, at: int, ends_at: int | None) -> None:
        if not self.changes:
            self.ends_at = ends_at
            return
        end = self.row_end
        if end is not None and end * 1_000 <= at:
            self.ended, self.changes_since = True, 0
        self.ends_at = None if self.ends_at is None or ends_at is None else max(self.ends_at, ends_at)

    def add(self, at: int, sums: Mapping[str, float], ends_at: int | None, by_time: bool = False) -> None:
        """A change heard at `at`, or due then `by_time` alone."""
        self._set_end(at, ends_at)
        self.changes += 1
        self.changes_since += 1
        if at >= self.latest:
            self.latest, self.by_time = at, by_time
        for field, amount in sums.items():
            self.sums[field] = self.sums.get(field, 0) + amount

    def may_have_changed(self, at: int) -> None:
        """A reading heard at `at` that changes nothing in the row, and may have raised its version."""
        self.possible += 1
        if at > self.possible_at:
            self.possible_at = at

    def rank(self, device_id: str, value: float) -> None:
        """A reading for the list of those with the highest, one a device; `add` counts the change."""
        held = self.highs.get(device_id)
        if held is None or value > held:
            self.highs[device_id] = value
        if len(self.highs) > MANY:
            self.highs = dict(self.ranked())

    def ranked(self) -> list[tuple[str, float]]:
        return sorted(self.highs.items(), key=lambda one: (-one[1], one[0]))[:TOP]

    @property
    def row_end(self) -> int | None:
        """The time at which the row as it is expires, in epoch seconds."""
        if self.ends_at is None and not self.highs and not any(self.sums.values()):
            return self.latest // 1_000 + EMPTY_KEPT_S
        return self.ends_at

    def copied(self) -> "GroupRow":
        other = GroupRow(self.is_bounded)
        other.sums, other.highs = dict(self.sums), dict(self.highs)
        other.possible, other.possible_at = self.possible, self.possible_at
        other.changes, other.latest, other.ends_at = self.changes, self.latest, self.ends_at
        other.ended, other.changes_since, other.by_time = self.ended, self.changes_since, self.by_time
        return other

    def rows(self, view: str, group: str, sort: str) -> Iterator[Row]:
        """The row, and the copy of a view's first row among those of all groups."""
        data: dict[str, Value] = {field: _whole(amount) for field, amount in self.sums.items()}
        for place, (device_id, value) in enumerate(self.ranked(), 1):
            data |= {f"device_{place}": device_id, f"value_{place}": value}
        version = least = self.latest * CHANGES_A_MILLISECOND + self.changes
        if self.is_bounded:
            least = 1
            version = max(self.latest, self.possible_at) * CHANGES_A_MILLISECOND + self.changes + self.possible
        if self.ended:
            least = min(least, self.latest * CHANGES_A_MILLISECOND + self.changes_since)
            version += self.changes + CHANGES_A_MILLISECOND
        lenient = frozenset(self.sums) if self.ended else frozenset[str]()
        key, end = (f"{PARTITION}{group}", sort), self.row_end
        row = Row(view, *key, version, least, data, end, self.latest, self.by_time, lenient=lenient)
        yield row
        if sort == view:
            yield row._replace(partition=ALL_GROUPS, sort=f"{view}#{group}")


class Groups:
    """All rows of groups of one view, by group and sort key."""

    def __init__(self, view: str) -> None:
        self.view = view
        self.held: dict[tuple[str, str], GroupRow] = {}

    def row(self, group: str, sort: str, is_bounded: bool = False) -> GroupRow:
        key = group, sort
        held = self.held.get(key)
        if held is None:
            held = self.held[key] = GroupRow(is_bounded)
        return held

    def with_steps(self) -> "Groups":
        """A copy of its own, that what time alone does to it can be tried."""
        other = Groups(self.view)
        other.held = _Copied(self.held)
        return other

    def rows(self) -> Iterator[Row]:
        for (group, sort), row in self.held.items():
            yield from row.rows(self.view, group, sort)


class _Copied(dict[tuple[str, str], GroupRow]):
    """Rows of another, each copied when it is first asked for by `get`."""

    def __init__(self, others: Mapping[tuple[str, str], GroupRow]) -> None:
        super().__init__(others)
        self._own: set[tuple[str, str]] = set()

    def get(self, key: tuple[str, str], default: GroupRow | None = None) -> GroupRow | None:  # type: ignore[override]
        held = super().get(key)
        if held is not None and key not in self._own:
            held = self[key] = held.copied()
        self._own.add(key)
        return held


def _whole(amount: float) -> Value:
    return int(amount) if float(amount).is_integer() and abs(amount) < 2**53 else amount


def window_sort(prefix: str, start: int) -> str:
    return f"{prefix}#{iso_seconds(start)}"
