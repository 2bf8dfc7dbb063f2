"""Device events to and from their wire form: Avro single-object encoding.

`C3 01`, the schema's CRC-64-AVRO fingerprint in 8 little-endian bytes, then the Avro body.
Source: https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
"""

import io
import json
from importlib.resources import files
from typing import Any

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.errors import Reason, RejectedEvent
from schemas.events import DeviceEvent, check_event

MARKER = b"\xc3\x01"
HEADER_BYTES = len(MARKER) + 8
VERSIONS = (1, 2)
CURRENT_VERSION = VERSIONS[-1]


def schema_text(version: int) -> str:
    """The .avsc of one version, as the JVM decoder takes it too."""
    return files("schemas").joinpath(f"device_event/v{version}.avsc").read_text("utf-8")


def _without_logical_types(schema: Any) -> Any:
    """Times stay epoch milliseconds: fastavro would make datetimes of them, and fail past the year 9999."""
    if isinstance(schema, dict):
        return {k: _without_logical_types(v) for k, v in schema.items() if k != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


def _load(version: int) -> Any:
    return _without_logical_types(json.loads(schema_text(version)))


def header(version: int) -> bytes:
    """The ten bytes that precede every body written with `version`."""
    print_hex = fingerprint(to_parsing_canonical_form(_load(version)), "CRC-64-AVRO")
    return MARKER + bytes.fromhex(print_hex)


_PARSED = {version: fastavro.parse_schema(_load(version)) for version in VERSIONS}
_HEADERS = {version: header(version) for version in VERSIONS}
_VERSION_OF = {written: version for version, written in _HEADERS.items()}


def encode(event: DeviceEvent, version: int = CURRENT_VERSION) -> bytes:
    """The wire form of `event`; fields that `version` does not have are left out."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _PARSED[version], msgspec.structs.asdict(event))
    return _HEADERS[version] + body.getvalue()


def decode(record: bytes, arrival: int) -> DeviceEvent:
    """The valid event in `record`, whichever version it was written with; raises RejectedEvent."""
    event = _resolve(record, _written_version(record))
    check_event(event, arrival)
    return event


def _written_version(record: bytes) -> int:
    if not record:
        raise RejectedEvent(Reason.EMPTY_RECORD, "the record has no bytes")
    if len(record) < HEADER_BYTES or not record.startswith(MARKER):
        raise RejectedEvent(Reason.BAD_HEADER, "the record does not begin with an Avro single-object header")
    version = _VERSION_OF.get(record[:HEADER_BYTES])
    if version is None:
        raise RejectedEvent(
            Reason.UNKNOWN_FINGERPRINT, f"no known schema has the fingerprint {record[2:HEADER_BYTES].hex()}"
        )
    return version


def _resolve(record: bytes, version: int) -> DeviceEvent:
    body = io.BytesIO(record[HEADER_BYTES:])
    try:
        fields = fastavro.schemaless_reader(body, _PARSED[version], _PARSED[CURRENT_VERSION])
    except EOFError as error:
        raise RejectedEvent(Reason.TRUNCATED_BODY, f"the body ends before the v{version} record is complete") from error
    except Exception as error:  # fastavro has no error type of its own for malformed bodies
        raise RejectedEvent(Reason.MALFORMED_BODY, f"the body is not a v{version} record") from error
    if body.read(1):
        raise RejectedEvent(Reason.MALFORMED_BODY, f"bytes follow the v{version} record")
    return DeviceEvent(**fields)  # type: ignore[arg-type]
