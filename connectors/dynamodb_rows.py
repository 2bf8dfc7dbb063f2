"""View rows as DynamoDB's items and PartiQL statements.

Items have the keys `pk` and `sk`, and `version`, `view`, `data` and, where the row expires, `expires_at` (TTL). The
data is a map, or the bytes of the rows that are packed into the item.
`prefix` is that of a generation's partitions. One more item, the pointer, says in its number `generation` which
generation is current; it has neither `version` nor `data`.
"""

from base64 import b64encode
from typing import TYPE_CHECKING, Any, TypeAlias

from telefold.schemas.generations import FIRST
from telefold.schemas.row_limits import INTEGERS
from telefold.schemas.view_rows import PackedItem, Value, ViewRow, ViewUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, BatchStatementRequestTypeDef

# No view's partition is named so: theirs are all of the form `device#...`.
BOOKKEEPING = "telefold"
POINTER = {"pk": {"S": BOOKKEEPING}, "sk": {"S": "generations"}}

_SMALLEST_MAGNITUDE = 1e-130

Statement: TypeAlias = "BatchStatementRequestTypeDef"
Item = dict[str, Any]


def update(table: str, prefix: str, row: ViewUpdate) -> Statement:
    """Refused with the item if that has a higher version, and without one if there is none."""
    version: AttributeValueTypeDef = {"N": str(row.version)}
    values: list[AttributeValueTypeDef] = [version, {"S": row.view}, _on_the_wire(_data(row))]
    if row.expires_at is None:
        expiry = 'REMOVE "expires_at"'
    else:
        expiry = 'SET "expires_at"=?'
        values.append({"N": str(row.expires_at)})
    return {
        "Statement": f'UPDATE "{table}" SET "version"=? SET "view"=? SET "data"=? {expiry}'
        ' WHERE "pk"=? AND "sk"=? AND "version"<=?',
        "Parameters": [*values, {"S": prefix + row.partition}, {"S": row.sort}, version],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def item(prefix: str, row: ViewUpdate) -> Item:
    """The row as it lies in the table."""
    item: Item = {
        "pk": {"S": prefix + row.partition},
        "sk": {"S": row.sort},
        "version": {"N": str(row.version)},
        "view": {"S": row.view},
        "data": _data(row),
    }
    if row.expires_at is not None:
        item["expires_at"] = {"N": str(row.expires_at)}
    return item


def insert(table: str, prefix: str, row: ViewUpdate) -> Statement:
    """Refused if there is such an item, whatever its version."""
    fields = item(prefix, row)
    slots = ", ".join(f"'{name}': ?" for name in fields)
    values = [_on_the_wire(value) for value in fields.values()]
    return {"Statement": f'INSERT INTO "{table}" VALUE {{{slots}}}', "Parameters": values}


def _data(row: ViewUpdate) -> "AttributeValueTypeDef":
    if row.packed is not None:
        return {"B": row.packed}
    return {"M": {name: _attribute(value) for name, value in row.data.items()}}


def _on_the_wire(value: "AttributeValueTypeDef") -> "AttributeValueTypeDef":
    """Statements go as they are made, without botocore, which would make a text of bytes."""
    return {"B": b64encode(value["B"]).decode()} if "B" in value else value  # type: ignore[typeddict-item]


def _attribute(value: Value) -> "AttributeValueTypeDef":
    """Magnitudes below DynamoDB's range become 0; it refuses those above it.

    It writes numbers out in full, so a float that an int can equal goes as that int: the 17 digits of its shortest
    form, filled up with zeros, would be another one.
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if abs(value) < _SMALLEST_MAGNITUDE:
        return {"N": "0"}
    if isinstance(value, float) and value.is_integer() and int(value) in INTEGERS:
        return {"N": str(int(value))}
    return {"N": repr(value)}


def is_of_a_view(key: Item) -> bool:
    """Whether an item with this key is a row: the bookkeeping's partitions are named, or begin, in their own way."""
    return str(key["pk"]["S"]).partition("#")[0] != BOOKKEEPING


def version_of(item: Item) -> int:
    return int(item["version"]["N"])


def row_of(item: Item) -> ViewRow:
    expires_at, data = item.get("expires_at"), item["data"]
    sort, version = item["sk"]["S"], version_of(item)
    expiry = None if expires_at is None else int(expires_at["N"])
    if "B" in data:
        return PackedItem(sort, version, expires_at=expiry, packed=data["B"])
    return ViewRow(sort, version, {name: _value(attribute) for name, attribute in data["M"].items()}, expiry)


def pointed_to(pointer: Item | None) -> int:
    """The current generation; without a pointer it is the first."""
    return int(pointer["generation"]["N"]) if pointer else FIRST


def _value(attribute: dict[str, Any]) -> Value:
    ((kind, value),) = attribute.items()
    return _as_number(value) if kind == "N" else value


def _as_number(text: str) -> float:
    """DynamoDB keeps numbers, not their types: 2.0 comes back as the equal 2, 1e25 as a 1 with 25 zeros."""
    try:
        whole = int(text)
    except ValueError:
        return float(text)
    return whole if whole in INTEGERS else float(text)
