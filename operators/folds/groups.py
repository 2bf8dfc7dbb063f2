"""Rows of groups of devices, from what the steps of single devices contribute to them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec

from telefold.operators.folds.fold import Contribution
from telefold.schemas.view_rows import ALL_GROUPS, BOTH, FAST, Value, ViewUpdate, group_of, group_partition

TOP = 10
EMPTY_KEPT_S = 86_400
"""How long a row stays whose sums have all come to 0: nobody is in the group any more."""
ENDED_KEPT_MS = 7 * 86_400_000
"""How long the versions of ended rows of a group are known: no store has such a row any more by then."""
CHANGES_A_MILLISECOND = 1_024
MAX_AMOUNT = 1e60
MAX_FIELDS = 512
"""The most sums of a row, so that it fits a store with names of `MAX_FIELD_BYTES` each."""
MAX_FIELD_BYTES = 512
LATEST_STEP = 2**52
"""Epoch milliseconds; of later ones no versions of 64 bits can be made."""


_Amount = Annotated[float, msgspec.Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]


class Contributed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A contribution on its way, with who made it and when. The JVM reads the first field, and nothing else of it."""

    partition: str
    view: str
    device_id: str
    sort: str
    add: Mapping[str, _Amount]
    high: _Amount | None
    expires_at: int | None
    at: Annotated[int, msgspec.Meta(lt=LATEST_STEP)]
    """The time of the step, in epoch milliseconds."""
    at_once: bool = False

    @classmethod
    def of(cls, view: str, device_id: str, made: Contribution, at: int) -> "Contributed":
        partition = group_partition(made.group)
        add, at_once = dict(made.add), bool(made.at_once)
        return cls(partition, view, device_id, made.sort, add, made.high, made.expires_at, at, at_once)


class GroupRow(msgspec.Struct, array_like=True):
    """The state of one row; contributions change it in any order to the same end, as long as it has room for their
    fields.
    """

    view: str
    changes: int = 0
    """How many contributions the row is made of."""
    sums: dict[str, float] = {}
    highs: dict[str, float] = {}
    """The greatest values, by device, of at most `TOP` devices."""
    expires_at: int | None = None
    latest: int = 0
    """The greatest time of a contribution, in epoch milliseconds."""

    @property
    def version(self) -> int:
        """Whatever contributions come, it grows; a row that begins anew begins at the `floor` of those that ended."""
        return self.latest * CHANGES_A_MILLISECOND + self.changes

    @property
    def floor(self) -> int:
        """The least `latest` of a row without changes that gives it a greater version than this one has."""
        return self.latest + self.changes // CHANGES_A_MILLISECOND + 1

    @property
    def ends_at(self) -> int | None:
        """Epoch seconds; None as long as it has a sum that is not 0 and no end of its own."""
        if self.expires_at is None and not self.highs and not any(self.sums.values()):
            return self.latest // 1_000 + EMPTY_KEPT_S
        return self.expires_at

    def take(self, made: Contributed) -> bool:
        """Whether there was room for all of it: a row keeps the first `MAX_FIELDS` fields that it is given."""
        self.changes += 1
        self.expires_at = made.expires_at if self.changes == 1 else _later(self.expires_at, made.expires_at)
        self.latest = max(self.latest, made.at)
        has_room = True
        for field, amount in made.add.items():
            if field in self.sums or len(self.sums) < MAX_FIELDS:
                self.sums[field] = self.sums.get(field, 0.0) + amount
            else:
                has_room = False
        if made.high is not None:
            self._rank(made.device_id, made.high)
        return has_room

    def _rank(self, device_id: str, value: float) -> None:
        """A device's greatest value only grows, so whoever has dropped out of the list comes back by a greater one."""
        self.highs[device_id] = max(value, self.highs.get(device_id, value))
        if len(self.highs) > TOP:
            del self.highs[max(self.highs, key=lambda one: (-self.highs[one], one))]

    def updates(self, partition: str, sort: str, at_once: bool = False) -> Iterator[ViewUpdate]:
        """The row as readers see it, in each place where it is found."""
        own = msgspec.structs.replace(self.update(partition, sort), to=BOTH if at_once else FAST)
        yield own
        if sort == self.view:
            sort = f"{sort}#{group_of(partition)}"
            yield msgspec.structs.replace(own, partition=ALL_GROUPS, sort=sort)

    def update(self, partition: str, sort: str) -> ViewUpdate:
        data: dict[str, Value] = {field: _whole(amount) for field, amount in sorted(self.sums.items())}
        for place, one in enumerate(sorted(self.highs, key=lambda one: (-self.highs[one], one)), 1):
            data |= {f"device_{place}": one, f"value_{place}": self.highs[one]}
        return ViewUpdate(self.view, partition, sort, self.version, data, self.ends_at)


_decode_lines = msgspec.json.Decoder(Contributed).decode_lines
_decode_line = msgspec.json.Decoder(Contributed).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Ended(msgspec.Struct, array_like=True, frozen=True):
    """The state of the rows of a group that have ended."""

    floor: int
    until: int
    """Epoch milliseconds of event time, when it may be forgotten."""


def read_contributions(lines: str) -> tuple[list[Contributed], int]:
    """The contributions that can be read, and how many others there are: one that a group could not take is none."""
    try:
        return _decode_lines(lines), 0
    except _UNREADABLE:
        return _one_by_one(lines)


def _one_by_one(lines: str) -> tuple[list[Contributed], int]:
    contributed, unreadable = list[Contributed](), 0
    for line in filter(str.strip, lines.split("\n")):
        try:
            contributed.append(_decode_line(line))
        except _UNREADABLE:
            unreadable += 1
    return contributed, unreadable


def take_all(rows: dict[str, GroupRow], contributed: Iterable[Contributed], read: Any, floor: int = 0) -> int:
    """Take contributions into `rows` by sort key; `read` gives the row of a sort key that is not there yet, or None.

    One that begins is above all that ended below `floor`. Returns of how many a field was left out.
    """
    left_out = 0
    for made in contributed:
        if made.sort not in rows:
            rows[made.sort] = read(made.sort) or GroupRow(made.view, latest=floor)
        left_out += not rows[made.sort].take(made)
    return left_out


def _later(one: int | None, other: int | None) -> int | None:
    """The later of two times, of which None is never."""
    return None if one is None or other is None else max(one, other)


def _whole(amount: float) -> Value:
    """A whole number where `amount` is one that every store holds exactly."""
    return int(amount) if float(amount).is_integer() and abs(amount) < 2**53 else amount
