"""Device events to and from their wire form: Avro single-object encoding.

`C3 01`, the schema's CRC-64-AVRO fingerprint in 8 little-endian bytes, then the Avro body.
Source: https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding

A version is a file, `device_event/v<number>.avsc`; the newest is current. What Avro cannot resolve between two versions
is in `schemas.upcasters`.
"""

import io
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from telefold.schemas.errors import Reason, RejectedEvent
from telefold.schemas.events import DeviceEvent, check_event
from telefold.schemas.upcasters import UPCASTS, Reading, Upcasts, readings

MARKER = b"\xc3\x01"
HEADER_BYTES = len(MARKER) + 8
MICROS_A_MILLI = 1_000

_DEVICE_EVENT = files("telefold.schemas").joinpath("device_event")


def _versions() -> tuple[int, ...]:
    found = (re.fullmatch(r"v(\d+)\.avsc", file.name) for file in _DEVICE_EVENT.iterdir())
    return tuple(sorted(int(name[1]) for name in found if name))


VERSIONS = _versions()
CURRENT_VERSION = VERSIONS[-1]


def schema_text(version: int) -> str:
    """The .avsc of one version."""
    return _DEVICE_EVENT.joinpath(f"v{version}.avsc").read_text("utf-8")


SCHEMAS: Mapping[int, Any] = {version: json.loads(schema_text(version)) for version in VERSIONS}


def header(version: int) -> bytes:
    """The ten bytes that precede every body written with `version`."""
    return header_of(SCHEMAS[version])


def header_of(schema: Any) -> bytes:
    """The ten bytes that precede every body written with `schema`, parsed JSON."""
    print_hex = fingerprint(to_parsing_canonical_form(_without_logical_types(schema)), "CRC-64-AVRO")
    return MARKER + bytes.fromhex(print_hex)


def _without_logical_types(schema: Any) -> Any:
    """Times stay integers: fastavro would make datetimes of them, and fail past the year 9999."""
    if isinstance(schema, dict):
        return {k: _without_logical_types(v) for k, v in schema.items() if k != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


def readings_json() -> str:
    """How every version is read, as the JVM decoder takes it: a JSON array of `Reading`, oldest first."""
    return msgspec.json.encode(readings(SCHEMAS)).decode()


class Codec:
    """Knows the versions of `schemas` (version -> parsed JSON) alone, and reads them all as the newest.

    `encode` and `decode` of this module are those of a codec that knows every version; others stand for a release
    that knows fewer of them, or more. An event has no field that `DeviceEvent` does not have.
    """

    def __init__(self, schemas: Mapping[int, Any] = SCHEMAS, upcasts: Upcasts = UPCASTS) -> None:
        self._current = max(schemas)
        self._headers = {version: header_of(schema) for version, schema in schemas.items()}
        self._bodies = {reading.version: _Body(reading) for reading in readings(schemas, upcasts)}
        self._body_after = {self._headers[version]: body for version, body in self._bodies.items()}

    def encode(self, event: DeviceEvent, version: int | None = None) -> bytes:
        """The wire form of `event` in `version`, by default the newest; raises OverflowError for an impossible time.

        Fields that `version` does not have are lost without a word: attributes and correlation_id in v1, and in v1
        and v2 `corrects`, which makes an ordinary event of a correction.
        """
        version = self._current if version is None else version
        return self._headers[version] + self._bodies[version].write(event)

    def decode(self, record: bytes, arrival: int) -> DeviceEvent:
        """The valid event in `record`, whichever version it was written with; raises RejectedEvent.

        `arrival` is in epoch milliseconds; what v3 holds in microseconds is rounded down to them.
        """
        event = self._body_of(record).read(record)
        check_event(event, arrival)
        return event

    def known_version(self, record: bytes) -> int:
        """The version that `record` says it was written with; raises RejectedEvent where it is none of the codec's."""
        return self._body_of(record).version

    def _body_of(self, record: bytes) -> "_Body":
        body = self._body_after.get(record[:HEADER_BYTES])
        if body is not None:
            return body
        if not record:
            raise RejectedEvent(Reason.EMPTY_RECORD, "the record has no bytes")
        if len(record) < HEADER_BYTES or not record.startswith(MARKER):
            raise RejectedEvent(Reason.BAD_HEADER, "the record does not begin with an Avro single-object header")
        raise RejectedEvent(
            Reason.UNKNOWN_FINGERPRINT, f"no known schema has the fingerprint {record[2:HEADER_BYTES].hex()}"
        )


class _Body:
    """Records of one version without their headers."""

    def __init__(self, reading: Reading) -> None:
        written, resolved = _without_logical_types(reading.written), _without_logical_types(reading.resolved)
        own, known = _types_by_name(written), _types_by_name(resolved)
        self.version = reading.version
        self._written = fastavro.parse_schema(written)
        # Where the schemas differ by new fields alone, adding those is the same as resolving, and a third faster.
        only_adds = own.items() <= known.items()
        self._resolved = None if only_adds else fastavro.parse_schema(resolved)
        self._added = {f["name"]: f["default"] for f in resolved["fields"] if only_adds and f["name"] not in own}
        self._upcast = reading.upcast
        current = known.keys() - {each.read_as for each in reading.upcast} | {each.field for each in reading.upcast}
        self._in_micros = "occurred_at" in current
        self._foreign = current - {"occurred_at", *DeviceEvent.__struct_fields__}

    def write(self, event: DeviceEvent) -> bytes:
        body = io.BytesIO()
        fields = msgspec.structs.asdict(event)
        fields["occurred_at"] = event.event_time * MICROS_A_MILLI
        fastavro.schemaless_writer(body, self._written, fields)
        return body.getvalue()

    def read(self, record: bytes) -> DeviceEvent:
        fields = self._fields(record)
        for each in self._upcast:
            value = fields.pop(each.read_as)
            for step in each.steps:
                value = step.upcast(value)
            fields[each.field] = value
        for name in self._foreign:
            del fields[name]
        if self._in_micros:
            fields["event_time"] = fields.pop("occurred_at") // MICROS_A_MILLI
        return DeviceEvent(**fields)

    def _fields(self, record: bytes) -> dict[str, Any]:
        body = io.BytesIO(record)
        body.seek(HEADER_BYTES)
        try:
            fields: dict[str, Any] = fastavro.schemaless_reader(body, self._written, self._resolved)  # type: ignore[assignment]
        except EOFError as error:
            raise RejectedEvent(
                Reason.TRUNCATED_BODY, f"the body ends before the v{self.version} record is complete"
            ) from error
        except Exception as error:  # fastavro has no error type of its own for malformed bodies
            raise RejectedEvent(Reason.MALFORMED_BODY, f"the body is not a v{self.version} record") from error
        if body.tell() != len(record):
            raise RejectedEvent(Reason.MALFORMED_BODY, f"bytes follow the v{self.version} record")
        return self._added | fields if self._added else fields


def _types_by_name(schema: Any) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in schema["fields"]}


_EVERY_VERSION = Codec()
encode = _EVERY_VERSION.encode
decode = _EVERY_VERSION.decode
known_version = _EVERY_VERSION.known_version
