"""Whether what was written with one Avro schema can be read with another, and what must hold of a new version.

`resolution_problems` follows "Schema Resolution" of the Avro specification, and adds what that leaves out: a field
whose logical type changed is read without an error, and wrongly.
Source: https://avro.apache.org/docs/1.12.0/specification/#schema-resolution
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

_PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
_NAMED = ("record", "enum", "fixed")
_UNSEEN = (
    "is a change of meaning that readers cannot see: give the field a new name, and an upcaster in schemas/upcasters.py"
)


class Schema(NamedTuple):
    """A parsed schema; in `root` and in `names` every name is a full one."""

    root: Any
    names: Mapping[str, Any]

    @property
    def name(self) -> str | None:
        return self.root["name"] if _kind(self.root) == "record" else None

    @property
    def fingerprint(self) -> str:
        """CRC-64-AVRO in the order of its bytes in a record's header; docs, defaults and logical types have no part."""
        return fingerprint(to_parsing_canonical_form(self.root), "CRC-64-AVRO")


class Upcast(NamedTuple):
    """The effect of the upcaster to one version on the fields of the version before it."""

    dropped: frozenset[str]
    made: frozenset[str]


class Problem(msgspec.Struct, frozen=True):
    """Why a reader cannot read, or would misread; `field` is a dotted path, empty for the schema as a whole."""

    field: str
    problem: str
    of_meaning: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


class VersionReport(msgspec.Struct, frozen=True):
    """Whether what was written with `version` can be read: without problems it can."""

    version: int
    problems: Sequence[Problem]


class Report(msgspec.Struct, frozen=True):
    """The findings on one schema as `version`; `fingerprint` is None if it is no schema at all."""

    version: int
    fingerprint: str | None
    shipped: bool
    problems: Sequence[str]
    versions: Sequence[VersionReport]

    @property
    def accepted(self) -> bool:
        return not self.problems and not any(version.problems for version in self.versions)


def parse(text: str) -> Schema:
    """The schema in `text`; raises ValueError with what is wrong with it."""
    names: dict[str, Any] = {}
    try:
        parsed = fastavro.parse_schema(json.loads(text), names)
    except KeyError as error:
        raise ValueError(f"a type lacks its {error.args[0]!r}") from error
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    schema = Schema(parsed, names)
    for flaw in _flaws(schema):
        raise ValueError(flaw)
    return schema


def resolution_problems(writer: Schema, reader: Schema) -> list[Problem]:
    """Why some record written with `writer` could not be read, or would be misread, with `reader`."""
    return _Resolution(writer, reader).problems(writer.root, reader.root, "")


def check(text: str, shipped: Mapping[int, str], upcasts: Mapping[int, Upcast]) -> Report:
    """Check `text` as the next version, or as the shipped version that it is.

    `shipped` holds the .avsc of every version; `upcasts` the versions that an upcaster leads to.
    """
    known = {version: parse(shipped[version]) for version in sorted(shipped)}
    following = max(known) + 1
    try:
        schema = parse(text)
    except ValueError as error:
        return Report(following, None, False, [f"it is no Avro schema: {error}"], [])
    version = next((v for v in known if _content(known[v].root) == _content(schema.root)), following)
    earlier = [v for v in known if v <= version]
    lineage = known | {version: schema}
    return Report(
        version=version,
        fingerprint=schema.fingerprint,
        shipped=version in known,
        problems=_identity_problems(schema, version, known),
        versions=[VersionReport(v, _lineage_problems(v, version, lineage, upcasts)) for v in earlier],
    )


def _identity_problems(schema: Schema, version: int, known: Mapping[int, Schema]) -> list[str]:
    expected = known[max(known)].name
    problems = []
    if schema.name != expected:
        problems.append(f"it must be a record named {expected}, but is {_words(schema.root)}")
    problems += [
        f"its fingerprint is that of v{other}, so its records would be read as v{other}: names, order and types of the "
        "fields must differ, since defaults, aliases, docs and logical types do not count"
        for other in known
        if other != version and known[other].fingerprint == schema.fingerprint
    ]
    return problems


def _lineage_problems(
    written: int, target: int, lineage: Mapping[int, Schema], upcasts: Mapping[int, Upcast]
) -> list[Problem]:
    """List what the codec would meet: Avro resolves once, with upcast fields as they were before their first upcast."""
    writer, reader = lineage[written], lineage[target]
    problems = [problem for problem in resolution_problems(writer, reader) if problem.of_meaning]
    for step in sorted((version for version in upcasts if written < version <= target), reverse=True):
        before = lineage[step - 1]
        problems += _upcast_problems(step, before, lineage[step], upcasts[step])
        reader = _before_upcast(reader, before, upcasts[step])
    return list(dict.fromkeys(problems + resolution_problems(writer, reader)))


def _upcast_problems(step: int, before: Schema, after: Schema, upcast: Upcast) -> Iterator[Problem]:
    for field in sorted(upcast.dropped - _fields(before).keys()):
        yield Problem(field, f"the upcaster to v{step} takes it, but v{step - 1} does not have it")
    for field in sorted(upcast.made - _fields(after).keys()):
        yield Problem(field, f"the upcaster to v{step} makes it, but v{step} does not have it")
    for field in sorted(upcast.dropped & upcast.made):
        yield Problem(field, f"what the upcaster to v{step} makes of it {_UNSEEN}", of_meaning=True)


def _before_upcast(reader: Schema, before: Schema, upcast: Upcast) -> Schema:
    """`reader` with what the upcaster makes, by whichever name, replaced by the fields it is made of."""
    kept = [field for field in _fields(reader).values() if not upcast.made & {field["name"], *field.get("aliases", ())}]
    if len(kept) == len(_fields(reader)):
        return reader
    taken = [field for name, field in _fields(before).items() if name in upcast.dropped]
    return Schema({**reader.root, "fields": kept + taken}, {**reader.names, **before.names})


def _fields(schema: Schema) -> dict[str, Any]:
    return {field["name"]: field for field in schema.root["fields"]} if schema.name else {}


class _Resolution:
    def __init__(self, writer: Schema, reader: Schema) -> None:
        self._writer_names = writer.names
        self._reader_names = reader.names
        self._under_way: set[tuple[str, str]] = set()

    def problems(self, writer: Any, reader: Any, path: str) -> list[Problem]:
        writer, reader = _definition(writer, self._writer_names), _definition(reader, self._reader_names)
        if isinstance(writer, list):
            return [problem for branch in writer for problem in self.problems(branch, reader, path)]
        if isinstance(reader, list):
            return self._into_union(writer, reader, path)
        if not _match(writer, reader):
            return [Problem(path, f"{_words(writer)} cannot be read as {_words(reader)}")]
        return [*_changes_of_meaning(writer, reader, path), *self._inside(writer, reader, path)]

    def _into_union(self, writer: Any, reader: Sequence[Any], path: str) -> list[Problem]:
        branches = [_definition(branch, self._reader_names) for branch in reader]
        found = [self.problems(writer, branch, path) for branch in branches if _match(writer, branch)]
        if not found:
            return [Problem(path, f"{_words(writer)} cannot be read as {_words(reader)}")]
        return min(found, key=len)

    def _inside(self, writer: Any, reader: Any, path: str) -> list[Problem]:
        match _kind(writer):
            case "array":
                return self.problems(writer["items"], reader["items"], _joined(path, "items"))
            case "map":
                return self.problems(writer["values"], reader["values"], _joined(path, "values"))
            case "enum":
                return _enum_problems(writer, reader, path)
            case "record":
                return self._record_problems(writer, reader, path)
        return []

    def _record_problems(self, writer: Any, reader: Any, path: str) -> list[Problem]:
        pair = (writer["name"], reader["name"])
        if pair in self._under_way:  # a record that holds itself: it can be read if all the rest can
            return []
        self._under_way.add(pair)
        try:
            return [problem for field in reader["fields"] for problem in self._field_problems(writer, field, path)]
        finally:
            self._under_way.remove(pair)

    def _field_problems(self, writer: Any, field: Any, path: str) -> list[Problem]:
        where = _joined(path, field["name"])
        names = (field["name"], *field.get("aliases", ()))
        sources = [written for written in writer["fields"] if written["name"] in names]
        if len(sources) > 1:
            both = " and ".join(source["name"] for source in sources)
            return [Problem(where, f"both {both} would be read as it: its aliases must name one field of a record")]
        if sources:
            return self.problems(sources[0]["type"], field["type"], where)
        if "default" in field:
            return []
        return [Problem(where, "it is new and has no default, so records without it cannot be read")]


def _enum_problems(writer: Any, reader: Any, path: str) -> list[Problem]:
    unknown = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
    if not unknown or "default" in reader:
        return []
    return [Problem(path, f"{_words(reader)} has neither {' nor '.join(unknown)}, and no default for them")]


def _changes_of_meaning(writer: Any, reader: Any, path: str) -> Iterator[Problem]:
    if _annotation(writer) != _annotation(reader):
        change = f"from {_words(writer)} to {_words(reader)}"
        yield Problem(path, f"{change} {_UNSEEN}", of_meaning=True)


def _annotation(schema: Any) -> tuple[Any, ...] | None:
    """What the logical type says of a value; a decimal's scale is 0 where it is not given."""
    if not isinstance(schema, dict) or "logicalType" not in schema:
        return None
    return schema["logicalType"], schema.get("precision"), schema.get("scale", 0)


def _match(writer: Any, reader: Any) -> bool:
    """Whether the outermost types match, neither of them a union."""
    kind = _kind(writer)
    if kind != _kind(reader):
        return _kind(reader) in _PROMOTIONS.get(kind, ())
    if kind == "fixed" and writer["size"] != reader["size"]:
        return False
    return kind not in _NAMED or _same_name(writer["name"], reader)


def _same_name(written: str, reader: Any) -> bool:
    """The namespace has no part in it, except for the reader's aliases, which are in its own if they name none."""
    namespace, _, name = reader["name"].rpartition(".")
    aliases = (alias if "." in alias else f"{namespace}.{alias}".lstrip(".") for alias in reader.get("aliases", ()))
    return written.rpartition(".")[2] == name or written in aliases


def _definition(schema: Any, names: Mapping[str, Any]) -> Any:
    return names.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _words(schema: Any) -> str:
    kind = _kind(schema)
    match kind:
        case "union":
            return " or ".join(_words(branch) for branch in schema) or "an empty union"
        case "array":
            words = f"array of {_words(schema['items'])}"
        case "map":
            words = f"map of {_words(schema['values'])}"
        case "fixed":
            words = f"fixed {schema['name']} of {schema['size']} bytes"
        case _:
            words = f"{kind} {schema['name']}" if kind in _NAMED else kind
    annotation = _annotation(schema)
    return f"{words} ({', '.join(str(part) for part in annotation if part)})" if annotation else words


def _content(schema: Any) -> Any:
    """All of a schema that has a consequence: without docs, and without fastavro's own marks."""
    if isinstance(schema, list):
        return [_content(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key == "default" else _content(value)
        for key, value in schema.items()
        if key != "doc" and not key.startswith("__")
    }


def _flaws(schema: Schema) -> Iterator[str]:
    """Flaws that the specification forbids, or decoders understand differently, and fastavro lets pass."""
    for name, definition in schema.names.items():
        fields = [one for field in definition.get("fields", ()) for one in (field["name"], *field.get("aliases", ()))]
        for field in sorted({field for field in fields if fields.count(field) > 1}):
            yield f"{name} has the name {field} for two fields"
        for field in definition.get("fields", ()):
            if "default" in field and not _fits(field["default"], field["type"], schema.names):
                yield f"{name}.{field['name']}: its default is not {_words(field['type'])}"


def _fits(default: Any, schema: Any, names: Mapping[str, Any]) -> bool:
    """Whether a default, as JSON holds it, is a value of `schema`; of a union, of its first branch."""
    schema = _definition(schema, names)
    match _kind(schema):
        case "union":
            return bool(schema) and _fits(default, schema[0], names)
        case "null":
            return default is None
        case "boolean":
            return isinstance(default, bool)
        case "int" | "long":
            return isinstance(default, int) and not isinstance(default, bool)
        case "float" | "double":
            return isinstance(default, int | float) and not isinstance(default, bool)
        case "array":
            return isinstance(default, list) and all(_fits(item, schema["items"], names) for item in default)
        case "map":
            return isinstance(default, dict) and all(_fits(v, schema["values"], names) for v in default.values())
        case "enum":
            return default in schema["symbols"]
        case "record":
            return isinstance(default, dict) and all(
                _fits(default[field["name"]], field["type"], names) if field["name"] in default else "default" in field
                for field in schema["fields"]
            )
    return isinstance(default, str)
