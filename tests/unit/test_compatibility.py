"""The rules of Avro schema resolution, checked against fastavro reading real data, and what a new version must keep."""

import io
import json
from collections.abc import Mapping
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given, settings
from hypothesis import strategies as st

from telefold.schemas.codec import HEADER_BYTES, VERSIONS, header, schema_text
from telefold.schemas.compatibility import Problem, Report, Upcast, check, parse, resolution_problems

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": "n", "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, name: str = "E", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def fixed(size: int, name: str = "F") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def problems(writer: Any, reader: Any) -> list[Problem]:
    return resolution_problems(parse(json.dumps(writer)), parse(json.dumps(reader)))


def really_reads(writer: Any, reader: Any, samples: int = 40) -> bool:
    """Whether fastavro reads with `reader` all of some generated values that it wrote with `writer`."""
    written, wanted = fastavro.parse_schema(writer), fastavro.parse_schema(reader)
    for value in generate_many(written, samples):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, written, value)
        body.seek(0)
        try:
            fastavro.schemaless_reader(body, written, wanted)
        except (fastavro.read.SchemaResolutionError, UnicodeDecodeError):
            return False
    return True


NODE = record(field("next", ["null", "n.R"]), field("value", "int"))
LONG_NODE = record(field("next", ["null", "n.R"]), field("value", "long"))
TEXT_NODE = record(field("next", ["null", "n.R"]), field("value", "string"))
PAIRS = [
    (record(), record(), True),
    (record(), record(name="Other"), False),
    (record(), record(name="Other", aliases=["R"]), True),
    (record(), record(namespace="elsewhere"), True),
    (record(field("a", "int")), record(), True),
    (record(), record(field("a", "int")), False),
    (record(), record(field("a", "int", default=1)), True),
    (record(field("a", "int"), field("b", "string")), record(field("b", "string"), field("a", "int")), True),
    (record(field("a", "int")), record(field("b", "int", aliases=["a"])), True),
    (record(field("a", "int")), record(field("b", "string", aliases=["a"])), False),
    (record(field("a", "int"), field("b", "string")), record(field("b", "string", aliases=["a"])), False),
    (NODE, LONG_NODE, True),
    (LONG_NODE, NODE, False),
    (NODE, TEXT_NODE, False),
    (enum("A", "B"), enum("B", "A", "C"), True),
    (enum("A", "B"), enum("A"), False),
    (enum("A", "B"), enum("A", default="A"), True),
    (enum("A"), enum("A", name="Other"), False),
    (enum("A"), "string", False),
    (fixed(4), fixed(4), True),
    (fixed(4), fixed(5), False),
    (fixed(4), fixed(4, name="G"), False),
    ({"type": "array", "items": "int"}, {"type": "array", "items": "double"}, True),
    ({"type": "array", "items": "double"}, {"type": "array", "items": "int"}, False),
    ({"type": "map", "values": "int"}, {"type": "map", "values": ["null", "int"]}, True),
    ({"type": "map", "values": ["null", "int"]}, {"type": "map", "values": "int"}, False),
    ({"type": "map", "values": "int"}, {"type": "array", "items": "int"}, False),
    ("int", ["null", "int"], True),
    ("int", ["null", "double"], True),
    ("int", ["null", "string"], False),
    (["null", "int"], ["int", "null", "string"], True),
    (["null", "int", "string"], ["null", "int"], False),
    (["int", "long"], "long", True),
    (["int", "string"], "long", False),
    ({"type": "array", "items": record(field("a", "int"))}, {"type": "array", "items": record()}, True),
    ([record(field("a", "int")), "null"], ["null", record(field("a", "long"))], True),
    ([record(field("a", "string")), "null"], ["null", record(field("a", "long"))], False),
]


@pytest.mark.parametrize(("writer", "reader", "readable"), PAIRS)
def test_each_rule_of_resolution_and_that_fastavro_goes_by_it(writer: Any, reader: Any, readable: bool) -> None:
    assert (problems(writer, reader) == []) is readable
    assert really_reads(writer, reader) is readable


@pytest.mark.parametrize("writer", PRIMITIVES)
@pytest.mark.parametrize("reader", PRIMITIVES)
def test_every_promotion_of_a_primitive(writer: str, reader: str) -> None:
    promoted = {("string", "bytes"), ("bytes", "string"), ("float", "double"), ("long", "float"), ("long", "double")}
    promoted |= {("int", wider) for wider in ("long", "float", "double")}
    assert (problems(writer, reader) == []) is (writer == reader or (writer, reader) in promoted)


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Any:
    """A type without names or bytes: fastavro knows no two unions of equal names, and random bytes are no text."""
    kinds = [kind for kind in PRIMITIVES if kind != "bytes"]
    choice = draw(st.integers(0, 4)) if depth else 0
    if choice == 1:
        return {"type": "array", "items": draw(types(depth - 1))}
    if choice == 2:
        return {"type": "map", "values": draw(types(depth - 1))}
    if choice == 3:
        return draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3, unique=True))
    return draw(st.sampled_from(kinds))


@st.composite
def records(draw: st.DrawFn) -> Any:
    names = draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3))
    return record(*(draw(st.builds(field, st.just(name), types())) for name in names))


@given(records(), records())
@settings(max_examples=200, deadline=None)
def test_exactly_what_is_called_readable_is_read(writer: Any, reader: Any) -> None:
    assert really_reads(writer, reader) is (problems(writer, reader) == [])


@given(records())
def test_a_schema_reads_what_it_wrote(schema: Any) -> None:
    assert problems(schema, schema) == []


def test_problems_name_the_field_and_say_what_is_wrong() -> None:
    writer = record(field("m", {"type": "map", "values": record(field("x", "string"), name="Inner")}))
    reader = record(field("m", {"type": "map", "values": record(field("x", "int"), name="Inner")}), field("y", "int"))
    assert [str(problem) for problem in problems(writer, reader)] == [
        "m.values.x: string cannot be read as int",
        "y: it is new and has no default, so records without it cannot be read",
    ]


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 8}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (MILLIS, MICROS),
        (MILLIS, "long"),
        ("long", MILLIS),
        (["null", MILLIS], ["null", MICROS]),
        (MILLIS, ["null", MICROS]),
        ({"type": "map", "values": MILLIS}, {"type": "map", "values": MICROS}),
        (DECIMAL, {**DECIMAL, "scale": 2}),
    ],
)
def test_a_changed_unit_is_a_change_of_meaning_although_it_resolves(before: Any, after: Any) -> None:
    found = problems(record(field("t", before)), record(field("t", after)))
    assert [problem.of_meaning for problem in found] == [True]
    assert "is a change of meaning that readers cannot see" in found[0].problem


def test_a_decimal_without_a_scale_has_scale_0() -> None:
    assert problems(record(field("t", DECIMAL)), record(field("t", {**DECIMAL, "scale": 0}))) == []


V1 = record(field("id", "string"), field("at", MILLIS))
V2 = record(field("id", "string"), field("at", MILLIS), field("site", "string", default=""))
V3 = record(field("id", "string"), field("happened_at", MICROS), field("site", "string", default=""))
UPCASTS = {3: Upcast(frozenset({"at"}), frozenset({"happened_at"}))}


def checked(proposal: Any, *shipped: Any, upcasts: Mapping[int, Upcast] | None = None) -> Report:
    texts = {number: json.dumps(schema) for number, schema in enumerate(shipped, 1)}
    return check(proposal if isinstance(proposal, str) else json.dumps(proposal), texts, upcasts or {})


def unreadable(report: Report) -> dict[int, list[str]]:
    return {one.version: [str(problem) for problem in one.problems] for one in report.versions if one.problems}


def test_a_field_with_a_default_makes_a_good_next_version() -> None:
    report = checked(V2, V1)
    assert report.accepted
    assert (report.version, report.shipped, [one.version for one in report.versions]) == (2, False, [1])


def test_a_shipped_version_is_known_again_whatever_its_docs_say() -> None:
    report = checked({**V1, "doc": "reworded"}, V1, V2)
    assert report.accepted
    assert (report.version, report.shipped) == (1, True)


def test_a_version_behind_an_upcaster_can_be_read() -> None:
    assert checked(V3, V1, V2, upcasts=UPCASTS).accepted
    assert unreadable(checked(V3, V1, V2)) == {
        version: ["happened_at: it is new and has no default, so records without it cannot be read"]
        for version in (1, 2)
    }


def test_after_an_upcaster_plain_resolution_goes_on() -> None:
    fourth = {**V3, "fields": [*V3["fields"], field("tag", ["null", "string"], default=None)]}
    assert checked(fourth, V1, V2, V3, upcasts=UPCASTS).accepted
    broken = {**V3, "fields": [*V3["fields"], field("tag", "string")]}
    assert unreadable(checked(broken, V1, V2, V3, upcasts=UPCASTS)).keys() == {1, 2, 3}


def test_records_from_before_an_upcaster_are_resolved_once_so_each_default_must_stay() -> None:
    required = record(field("id", "string"), field("happened_at", MICROS), field("site", "string"))
    assert unreadable(checked(required, V1, V2, upcasts=UPCASTS)).keys() == {1}


def test_what_an_upcaster_made_can_be_renamed_later_or_left_out() -> None:
    renamed = record(field("id", "string"), field("moment", MICROS, aliases=["happened_at"]))
    assert checked(renamed, V1, V2, V3, upcasts=UPCASTS).accepted
    assert checked(record(field("id", "string")), V1, V2, V3, upcasts=UPCASTS).accepted


def test_an_upcaster_of_fields_that_are_not_there_is_a_problem() -> None:
    wrong = {3: Upcast(frozenset({"when"}), frozenset({"happened"}))}
    found = unreadable(checked(V3, V1, V2, upcasts=wrong))[2]
    assert "when: the upcaster to v3 takes it, but v2 does not have it" in found
    assert "happened: the upcaster to v3 makes it, but v3 does not have it" in found


def test_an_upcaster_cannot_keep_the_name_of_what_it_rescales() -> None:
    same_name = record(field("id", "string"), field("at", MICROS), field("site", "string", default=""))
    report = checked(same_name, V1, V2, upcasts={3: Upcast(frozenset({"at"}), frozenset({"at"}))})
    assert not report.accepted


def test_an_old_name_does_not_come_back_with_another_meaning() -> None:
    fourth = {**V3, "fields": [*V3["fields"], field("at", MICROS, default=0)]}
    assert unreadable(checked(fourth, V1, V2, V3, upcasts=UPCASTS)).keys() == {1, 2}


def test_an_alias_does_not_carry_a_field_over_into_another_unit() -> None:
    renamed = record(field("id", "string"), field("happened_at", MICROS, aliases=["at"]))
    assert "is a change of meaning" in unreadable(checked(renamed, V1))[1][0]


def test_a_fingerprint_must_be_new_and_units_are_no_part_of_it() -> None:
    report = checked(record(field("id", "string"), field("at", MICROS)), V1)
    assert "its fingerprint is that of v1" in report.problems[0]
    assert (
        "at: from long (timestamp-millis) to long (timestamp-micros) is a change of meaning" in unreadable(report)[1][0]
    )


@pytest.mark.parametrize("proposal", [{**V2, "name": "Other"}, {**V2, "namespace": "other"}, enum("A"), ["null", V2]])
def test_it_must_be_the_same_record(proposal: Any) -> None:
    assert any("must be a record named n.R" in problem for problem in checked(proposal, V1).problems)


FLAWED = [
    "{",
    "17",
    record(field("a", "int"), field("a", "long")),
    record(field("a", "int", aliases=["b"]), field("b", "int")),
    record(field("a", "nothing")),
    record({"name": "a"}),
    record(field("a", "int", default="x")),
    record(field("a", "boolean", default=0)),
    record(field("a", ["null", "int"], default=4)),
    record(field("a", {"type": "array", "items": "int"}, default=["x"])),
    record(field("a", {"type": "map"})),
    record(field("a", record(field("b", "int"), name="I"), default={})),
    record(field("a", enum("A"), default="B")),
]


@pytest.mark.parametrize("proposal", FLAWED, ids=str)
def test_what_is_no_schema_is_refused(proposal: Any) -> None:
    report = checked(proposal, V1)
    assert not report.accepted
    assert report.problems[0].startswith("it is no Avro schema: ")
    assert report.fingerprint is None


def test_a_fingerprint_is_the_one_that_records_carry() -> None:
    for version in VERSIONS:
        assert parse(schema_text(version)).fingerprint == header(version)[2:HEADER_BYTES].hex()
