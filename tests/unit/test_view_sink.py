"""Batches of view updates as they come from the JVM: one JSON object a line."""

import base64
import json
from collections import Counter
from typing import Any, Self

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.connectors.memory import MemoryViews
from telefold.connectors.view_sink import Refusals, ViewSink, decode_batch
from telefold.connectors.view_writer import ViewStores
from telefold.schemas.errors import Reason
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import Refused, ViewWriter


class Metrics(Counter[str]):
    """A runtime context, and the group in which it counts."""

    def get_metrics_group(self) -> Self:
        return self

    def add_group(self, *names: str) -> Self:
        return self

    def counter(self, name: str) -> Any:
        return type("Counted", (), {"inc": lambda _, by=1: self.update({name: by})})()


# Whatever can be in a metric's or device's name: line breaks of every kind, quotes, backslashes, commas, brackets.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r\u2028\u0085"\\,[]{}'))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
UPDATES = st.builds(
    ViewUpdate,
    view=TEXTS,
    partition=TEXTS,
    sort=TEXTS,
    version=st.integers(0, 2**63 - 1),
    data=st.dictionaries(TEXTS, NUMBERS),
    expires_at=st.none() | st.integers(0, 2**40),
)


@given(st.lists(UPDATES), st.booleans())
def test_updates_survive_the_way_as_lines(updates: list[ViewUpdate], ascii_only: bool) -> None:
    objects = [msgspec.to_builtins(update) for update in updates]
    assert decode_batch("\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects)) == (updates, [])


def test_a_line_is_what_flink_makes_of_a_row() -> None:
    line = (
        '{"data":{"at":1769860800000,"value":-1.5E-7},"expires_at":null,"partition":"device#d\\n\\"1\\"",'
        '"sort":"latest#temp\\u00e9","version":1769860800000,"view":"latest"}'
    )
    data = {"at": 1_769_860_800_000, "value": -1.5e-7}
    update = ViewUpdate("latest", 'device#d\n"1"', "latest#temp\u00e9", 1_769_860_800_000, data, None)
    assert decode_batch(line) == ([update], [])


def test_an_empty_batch_has_no_updates() -> None:
    assert decode_batch("") == ([], [])


GOOD = '{"view":"latest","partition":"device#1","sort":"latest#t","version":1,"data":{"value":1.5}}'
NONE = '{"view":"mileage","partition":"device#1","sort":"mileage","version":1,"data":{"km":null}}'


@pytest.mark.parametrize(
    "line", ['{"view": "latest"', '{"view": "latest"}', "[]", "x", NONE, GOOD.replace("1.5", "1e999"), "[" * 100_000]
)
def test_a_line_that_is_no_row_is_set_aside_and_the_others_of_its_batch_are_rows(line: str) -> None:
    updates, rest = decode_batch(f"{GOOD}\n{line}\n{GOOD}")
    assert len(updates) == 2
    assert [one.line for one in rest] == [line]


def sink_of(writer: ViewWriter) -> tuple[ViewSink, Metrics]:
    sink, metrics = ViewSink(lambda on_retry: writer), Metrics()
    sink.open(metrics)
    return sink, metrics


def test_a_line_that_is_no_row_is_told_once_though_it_comes_again_when_it_is_due() -> None:
    line = '{"view":"v","partition":"device#d","sort":"v","version":1,"data":{"n":NaN},"to":"%s"}'
    updates, rest = decode_batch("\n".join([GOOD, line % "fast", line % "durable"]))
    assert len(updates) == 1
    assert [one.line for one in rest] == [line % "fast"]


def test_rows_that_no_store_takes_leave_as_dead_letters_and_are_counted() -> None:
    views = MemoryViews()
    sink, metrics = sink_of(ViewStores({"memory": views}))
    huge = ViewUpdate("mileage", "device#1", "mileage", 3, {"note": "x" * 500_000})
    lines = "\n".join([GOOD, NONE, msgspec.json.encode(huge).decode()])
    letters = [msgspec.json.decode(row[1]) for row in sink.process_element((3, lines), None)]
    assert {letter["reason"] for letter in letters} == {Reason.ROW_REFUSED}
    assert [letter.get("fold") for letter in letters] == ["mileage", None]
    assert base64.b64decode(letters[1]["payload"]).decode() == NONE
    assert msgspec.json.decode(base64.b64decode(letters[0]["payload"]), type=ViewUpdate) == huge
    assert (metrics["rowsWritten"], metrics["rowsRefused"]) == (1, 2)
    assert views.get("device#1", "latest#t") is not None


def test_what_is_refused_is_in_the_log_once_a_minute_and_view(caplog: pytest.LogCaptureFixture) -> None:
    now = 1_000.0
    refusals = Refusals(lambda: now)
    refused = tuple(Refused(ViewUpdate(view, "device#1", view, 1, {}), "too large") for view in ("a", "b", "a"))
    list(refusals.letters(refused, []))
    assert [vars(record)["view"] for record in caplog.records] == ["a", "b"]
    now += 61
    list(refusals.letters(refused[:1], []))
    assert caplog.records[-1].getMessage() == "row refused: too large"
    assert vars(caplog.records[-1])["unsaid"] == 1
