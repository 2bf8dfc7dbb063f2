"""Sentences of the oracle and of the judges of single views on a row that is not as it must be."""

from collections.abc import Callable, Collection, Iterator

from telefold.schemas.view_rows import Data, Value

RELATIVE_TOLERANCE = 1e-9
SMALLEST_MAGNITUDE = 1e-130
"""DynamoDB numbers begin here: squares of tiny readings are 0 in the durable store."""

MISSING, UNEXPECTED = "missing", "unexpected"
TOO_NEW = "too new"
"""The words that mark a version which nothing in the log explains."""


def fields_unlike(
    wanted: Data, found: Data, agree: Callable[[str, Value, Value], bool], lenient: Collection[str] = ()
) -> Iterator[str]:
    """A sentence for each field that only one of two rows has, or of which the values do not `agree`.

    `lenient` fields are as good missing as 0.
    """
    for field in sorted(wanted.keys() | found.keys()):
        expected, held = wanted.get(field), found.get(field)
        if field in lenient and not expected and not held:
            continue
        if expected is None or held is None:
            yield f"data.{field} is {MISSING if held is None else UNEXPECTED}"
        elif not agree(field, expected, held):
            yield f"data.{field} is {held}, expected {expected}"
