"""Rows of groups of devices, from what the steps of single devices contribute to them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from operators.folds.fold import Contribution
from schemas.view_rows import Value, ViewUpdate

TOP = 10

ALL_GROUPS = "fleets"
"""The partition in which the first row of each group is found again, as `fleet#<group>`."""
_PARTITION = "fleet#"


class Contributed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A contribution on its way, with who made it."""

    view: str
    device_id: str
    sort: str
    add: Mapping[str, float]
    high: float | None
    expires_at: int | None

    @classmethod
    def of(cls, view: str, device_id: str, made: Contribution) -> "Contributed":
        return cls(view, device_id, made.sort, dict(made.add), made.high, made.expires_at)


class GroupRow(msgspec.Struct, array_like=True):
    """The state of one row; contributions change it in any order to the same end."""

    view: str
    changes: int = 0
    """Contributions that it was made of: the row's version."""
    sums: dict[str, float] = {}
    highs: dict[str, float] = {}
    """Of at most `TOP` devices."""
    expires_at: int | None = None

    def take(self, made: Contributed) -> None:
        self.changes += 1
        self.expires_at = made.expires_at
        for field, amount in made.add.items():
            self.sums[field] = self.sums.get(field, 0) + amount
        if made.high is not None:
            self._rank(made.device_id, made.high)

    def _rank(self, device_id: str, value: float) -> None:
        """A device's greatest value only grows, so whoever has dropped out of the list comes back by a greater one."""
        self.highs[device_id] = max(value, self.highs.get(device_id, value))
        if len(self.highs) > TOP:
            del self.highs[max(self.highs, key=lambda one: (-self.highs[one], one))]

    def updates(self, partition: str, sort: str) -> Iterator[ViewUpdate]:
        """The row as readers see it, in each place where it is found."""
        own = self.update(partition, sort)
        yield own
        if sort == self.view:
            group = partition.removeprefix(_PARTITION)
            yield msgspec.structs.replace(own, partition=ALL_GROUPS, sort=f"{sort}#{group}")

    def update(self, partition: str, sort: str) -> ViewUpdate:
        data: dict[str, Value] = {field: _whole(amount) for field, amount in sorted(self.sums.items())}
        for place, one in enumerate(sorted(self.highs, key=lambda one: (-self.highs[one], one)), 1):
            data |= {f"device_{place}": one, f"value_{place}": self.highs[one]}
        return ViewUpdate(self.view, partition, sort, self.changes, data, self.expires_at)


def group_partition(group: str) -> str:
    return f"{_PARTITION}{group}"


def take_all(rows: dict[str, GroupRow], contributed: Iterable[Contributed], read: Any) -> None:
    """Take contributions into `rows` by sort key; `read` gives the row of a sort key that is not there yet, or None."""
    for made in contributed:
        if made.sort not in rows:
            rows[made.sort] = read(made.sort) or GroupRow(made.view)
        rows[made.sort].take(made)


def _whole(amount: float) -> Value:
    return int(amount) if float(amount).is_integer() else amount
