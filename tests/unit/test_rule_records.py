"""What a record of the stream of rules may be: a change of a rule, or a dead letter, whatever it holds."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.alerts.condition import Match
from telefold.operators.alerts.rules import NoRule, read_change
from telefold.operators.flink import rule_function
from telefold.operators.flink.rule_function import RuleFunction
from telefold.schemas.rules import DELETED_KEPT_MS, LATEST_VERSION, RULE_NAME, RuleChange, encode_change

NOW = 2_000_000_000_000
HOT = RuleChange("hot", 5, 't > 80 until < 75 for 5m where site = "a*"', "critical", "ada")

NO_RULES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"\xff\xfe\x00",
    "no object": b"[]",
    "nested": b"[" * 100_000,
    "nested in a field": b'{"rule":"x","version":1,"condition":' + b"[" * 100_000,
    "nested and short": b"[" * 8_000,
    "no name": b'{"version":1}',
    "a name that is a number": b'{"rule":1,"version":1}',
    "a long name": encode_change(RuleChange("x" * 3_000, 1)),
    "a name with a separator": encode_change(RuleChange("a#b", 1)),
    "no version": b'{"rule":"x"}',
    "a version that is a float": b'{"rule":"x","version":1.5}',
    "a version in another age": encode_change(RuleChange("x", 2**62)),
    "a version of thirty digits": b'{"rule":"x","version":' + b"1" * 30 + b"}",
    "a version before time": encode_change(RuleChange("x", -1)),
    "a condition that nobody can read": encode_change(RuleChange("x", 1, "t >")),
    "a long condition": encode_change(RuleChange("x", 1, "t > 1" + " " * 5_000)),
    "a huge number": encode_change(RuleChange("x", 1, "t > 1" + "0" * 900)),
    "a huge duration": encode_change(RuleChange("x", 1, "t > 1 for " + "9" * 900 + "d")),
    "a severity of its own": b'{"rule":"x","version":1,"severity":"dire"}',
    "said by a crowd": encode_change(RuleChange("x", 1, by="x" * 500)),
    "a large record": b" " * 20_000 + encode_change(HOT),
}


@pytest.mark.parametrize("kind", NO_RULES)
def test_what_is_no_rule_is_refused_with_a_reason(kind: str) -> None:
    with pytest.raises(NoRule, match=r"\w"):
        read_change(NO_RULES[kind])


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: encode_change(RuleChange("x", 1, text))))
def test_any_record_is_a_rule_or_none(record: bytes) -> None:
    with suppress(NoRule):
        assert RULE_NAME.fullmatch(read_change(record).rule)


@pytest.mark.parametrize("change", [HOT, RuleChange("hot", 0), RuleChange("a.b_c-1", LATEST_VERSION, "stale() > 1d")])
def test_a_rule_is_read_as_it_was_put(change: RuleChange) -> None:
    assert read_change(encode_change(change)) == change


class Counter:
    count = 0

    def inc(self) -> None:
        self.count += 1


class State(dict[str, tuple[int, bool]]):
    """Of a map, as Flink has it."""

    reads = 0

    def items(self) -> Any:
        self.reads += 1
        return super().items()

    def put(self, key: str, value: tuple[int, bool]) -> None:
        self[key] = value

    def remove(self, key: str) -> None:
        del self[key]


class Task:
    """A `RuleFunction` with what Flink would give it."""

    def __init__(self, *known: str, state: State | None = None) -> None:
        self._function = RuleFunction(known)
        self.unreadable = self._function._unreadable = Counter()
        self.state = self._function._rules = State() if state is None else state
        self._function._names = None
        self._function._quiet_until = 0

    def current_processing_time(self) -> int:
        return NOW

    def timer_service(self) -> "Task":
        return self

    def take(self, record: bytes) -> list[tuple[Any, ...]]:
        made: Iterator[Any] = self._function.process_element(record.decode("latin-1"), self)
        return [tuple(row) for row in made]


@pytest.mark.parametrize("kind", NO_RULES)
def test_a_record_that_is_no_rule_is_a_dead_letter_with_its_very_bytes(kind: str) -> None:
    task = Task()
    ((rule, version, change, letters),) = task.take(NO_RULES[kind])
    assert (rule, version, change, task.unreadable.count) == (None, None, None, 1)
    fields = msgspec.json.decode(msgspec.json.decode(letters.splitlines()[0])[1])
    assert fields["reason"] == "bad_rule"
    assert NO_RULES[kind].startswith(msgspec.json.decode(f'"{fields["payload"]}"', type=bytes))


def test_a_rule_goes_on_with_its_name_and_version() -> None:
    assert Task().take(encode_change(HOT)) == [("hot", 5, encode_change(HOT).decode(), None)]


def test_of_more_rules_than_there_can_be_the_last_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_function, "MAX_RULES", 3)
    task = Task("a")
    for name in "abc":
        assert task.take(encode_change(RuleChange(name, NOW, "t > 1")))[0][0] == name
    assert task.take(encode_change(RuleChange("d", NOW, "t > 1")))[0][0] is None
    assert task.take(encode_change(RuleChange("c", NOW + 1)))[0][0] == "c"
    forgotten, put = task.take(encode_change(RuleChange("d", NOW + 2, "t > 1")))
    assert (forgotten[0], forgotten[2], put[0]) == ("c", None, "d")


def test_a_deleted_rule_is_forgotten_when_no_record_can_speak_of_it_any_more() -> None:
    task = Task()
    task.take(encode_change(RuleChange("old", NOW - DELETED_KEPT_MS - 1)))
    (forgotten, _) = task.take(encode_change(RuleChange("new", NOW - DELETED_KEPT_MS)))
    assert (forgotten[0], forgotten[2]) == ("old", None)
    assert [row[0] for row in task.take(encode_change(HOT))] == ["hot"]
    assert set(task.state) == {"new", "hot"}


def test_an_older_change_of_a_rule_goes_on_and_is_not_what_is_known_of_it() -> None:
    task = Task()
    task.take(encode_change(RuleChange("hot", NOW)))
    assert [row[1] for row in task.take(encode_change(HOT))] == [HOT.version]
    again = Task(state=task.state)
    assert [row[1] for row in again.take(encode_change(HOT))] == [HOT.version]
    assert again.state == {"hot": (NOW, True)}
    assert [row[0] for row in again.take(encode_change(RuleChange("hot", NOW + 1, "t > 1")))] == ["hot"]
    assert again.state == {"hot": (NOW + 1, False)}


def test_a_rule_that_is_put_again_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_function, "MAX_RULES", 1)
    task = Task()
    task.take(encode_change(RuleChange("a", NOW)))
    task.take(encode_change(RuleChange("a", NOW + 1, "t > 1")))
    assert task.take(encode_change(RuleChange("b", NOW + 2, "t > 1")))[0][0] is None


def test_a_known_rule_that_was_deleted_makes_room_when_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_function, "MAX_RULES", 1)
    task = Task("a")
    task.take(encode_change(RuleChange("a", NOW)))
    assert [row[0] for row in task.take(encode_change(RuleChange("b", NOW, "t > 1")))] == ["a", "b"]
    assert task.take(encode_change(RuleChange("c", NOW, "t > 1")))[0][0] is None


def test_the_state_is_read_once_however_many_rules_are_new() -> None:
    task = Task()
    for number in range(50):
        task.take(encode_change(RuleChange(f"r{number}", NOW, "t > 1")))
    assert (task.state.reads, len(task.state)) == (1, 50)


def test_a_pattern_takes_no_longer_than_the_text_is_long() -> None:
    """One that tries every way to divide the text among its stars would not come to an end."""
    assert not Match("site", "*a" * 400 + "b", negated=False).holds("a" * 100_000)
