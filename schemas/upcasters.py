"""Upcasters turn records of one version of a schema into the next where Avro's own resolution cannot.

An upcast is data: the same JSON configures the JVM edge (`Upcast.java`), so both languages do the same. Avro does all
else, once: a record is read with the schema of the newest version in which every upcast field still has the name and
the type it had before its first upcast, and then the values of those fields are upcast, one version after the other.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

_LONG = range(-(2**63), 2**63)


class Rescaled(msgspec.Struct, frozen=True, tag_field="kind", tag="rescaled"):
    """The long `to` is the long `field` of the version before times `factor`, a whole number of at least 1.

    A product beyond 64 bits becomes the end of their range on its side of zero. For a time, that is one which the
    checks of an event refuse: as in the future, or as too old.
    """

    field: str
    to: str
    factor: int

    def upcast(self, value: int) -> int:
        product = value * self.factor
        return product if product in _LONG else _LONG[-1] if value > 0 else _LONG[0]


Upcast = Rescaled
"""Every kind of upcast there is; a new kind is a class here and one in `Upcast.java`."""

Upcasts = Mapping[int, tuple[Upcast, ...]]
"""Version -> what makes a record of the version before into one of this version."""

UPCASTS: Upcasts = {3: (Rescaled("event_time", to="occurred_at", factor=1_000),)}


class UpcastField(msgspec.Struct, frozen=True):
    """A `field` of the current version that is read under the name `read_as` and then takes `steps`, in order."""

    field: str
    read_as: str
    steps: tuple[Upcast, ...]


class Reading(msgspec.Struct, frozen=True):
    """How records `written` with one schema are read: `resolved` to another by Avro, then `upcast`.

    The fields of `resolved` stand where they stand in the current schema; those that are upcast have an older name.
    """

    version: int
    written: Any
    resolved: Any
    upcast: tuple[UpcastField, ...]


def readings(schemas: Mapping[int, Any], upcasts: Upcasts = UPCASTS) -> list[Reading]:
    """How to read each version of `schemas`, version -> parsed JSON, as the newest of them; oldest first."""
    return [_reading(schemas, written, upcasts) for written in sorted(schemas)]


def _reading(schemas: Mapping[int, Any], written: int, upcasts: Upcasts) -> Reading:
    path = sorted((version for version in schemas if version >= written), reverse=True)
    current = schemas[path[0]]
    origins = [_origin(field, path, schemas, upcasts) for field in current["fields"]]
    upcast = (
        UpcastField(field["name"], origin.field["name"], tuple(origin.steps))
        for field, origin in zip(current["fields"], origins, strict=True)
        if origin.steps
    )
    resolved = current | {"fields": [origin.field for origin in origins]}
    return Reading(written, schemas[written], resolved, tuple(upcast))


class _Origin(NamedTuple):
    field: Any
    steps: list[Upcast]


def _origin(field: Any, path: Sequence[int], schemas: Mapping[int, Any], upcasts: Upcasts) -> _Origin:
    """The origin of `field`, followed from the newest version of `path` back to the oldest, or to where it is new."""
    name, origin, steps = field["name"], field, list[Upcast]()
    for version, before in pairwise(path):
        older = {each["name"]: each for each in schemas[before]["fields"]}
        step = next((step for step in upcasts.get(version, ()) if step.to == name), None)
        if step is not None:
            name, origin = step.field, older[step.field]
            steps.insert(0, step)
        elif not (known := [each for each in (name, *origin.get("aliases", ())) if each in older]):
            break
        else:
            name = known[0]
    return _Origin(origin, steps)
