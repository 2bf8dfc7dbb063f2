"""Rules in the durable store: the newest of each, and all their changes for whoever folds the log again."""

from collections.abc import Iterator, Sequence

import pytest

from telefold.connectors.memory import MemoryViews
from telefold.operators.alerts import rule_book
from telefold.operators.alerts.rule_book import RuleBook
from telefold.schemas.errors import RuleError, StoreRefused, StreamError
from telefold.schemas.rules import CHANGES_KEPT, DELETED_KEPT_MS, RULES_PARTITION, RuleChange
from telefold.schemas.view_rows import Value, ViewUpdate
from telefold.schemas.view_stores import WriteResult

NOW_MS = 1_795_900_000_000


@pytest.fixture
def table() -> MemoryViews:
    return MemoryViews(lambda: NOW_MS / 1_000)


class Stream:
    """Of rules; it `fails` on demand."""

    def __init__(self) -> None:
        self.told: list[RuleChange] = []
        self.fails = False

    def check(self) -> None:
        pass

    def tell(self, change: RuleChange) -> None:
        if self.fails:
            raise StreamError("throttled")
        self.told.append(change)

    def close(self) -> None:
        pass


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def book(table: MemoryViews, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> Iterator[RuleBook]:
    monkeypatch.setattr(rule_book, "_now_ms", lambda: NOW_MS)
    with RuleBook(table, table, stream) as opened:
        yield opened


def kept(table: MemoryViews) -> dict[str, int | None]:
    return {row.sort: row.expires_at for row in table.range(RULES_PARTITION)}


def test_all_changes_of_a_rule_are_known_and_the_newest_is_what_it_is(book: RuleBook) -> None:
    first, second, other = book.put("hot", "t > 1"), book.put("hot", "t > 2"), book.put("cold", "t < 0")
    gone = book.put("hot", None)
    assert book.known() == [other, first, second, gone]
    assert (book.newest(), book.find("hot"), book.find("cold")) == ([other, gone], None, other)


def test_the_changes_of_a_rule_are_forgotten_with_it(book: RuleBook, table: MemoryViews) -> None:
    book.put("hot", "t > 1")
    deleted = book.put("hot", None)
    assert set(kept(table).values()) == {(deleted.version + DELETED_KEPT_MS) // 1_000}
    book.put("hot", "t > 2")
    assert set(kept(table).values()) == {None}
    assert len(book.known()) == 3


def test_of_more_changes_than_are_kept_the_oldest_go(book: RuleBook, table: MemoryViews) -> None:
    made = [book.put("hot", f"t > {number}") for number in range(CHANGES_KEPT + 3)]
    assert book.known() == made[3:]
    assert len(kept(table)) == CHANGES_KEPT + 1


def test_a_rule_that_an_earlier_build_put_is_known_and_its_change_is_kept(book: RuleBook, table: MemoryViews) -> None:
    data: dict[str, Value] = {"rule": "hot", "version": NOW_MS - 5, "condition": "t > 1", "severity": "warning"}
    table.write([ViewUpdate("rules", RULES_PARTITION, "hot", NOW_MS - 5, data)])
    old = RuleChange("hot", NOW_MS - 5, "t > 1")
    assert book.known() == [old]
    assert book.known() == [old]
    new = book.put("hot", "t > 2")
    assert book.known() == [old, new]


def test_a_rule_that_there_cannot_be_is_no_rule_and_no_setting(book: RuleBook) -> None:
    with pytest.raises(RuleError, match="cannot name a rule"):
        book.put("Hot!", "t > 1")


def test_a_change_that_nobody_was_told_is_taken_back(
    book: RuleBook, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = book.put("hot", "t > 1")
    stream.fails = True
    for name, condition in (("hot", "t > 2"), ("hot", None), ("cold", "t < 0")):
        with pytest.raises(StreamError):
            book.put(name, condition)
        assert book.known() == [first]
        assert book.find("cold") is None
    stream.fails = False
    monkeypatch.setattr(rule_book, "_now_ms", lambda: NOW_MS + 60_000)
    assert book.known() == [first]
    again = book.put("hot", "t > 2")
    assert book.known() == [first, again]


def test_of_a_change_that_somebody_else_forestalled_nothing_is_kept(
    book: RuleBook, table: MemoryViews, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = table.write
    theirs = RuleChange("hot", NOW_MS + 5, "t > 50")

    def late(updates: Sequence[ViewUpdate]) -> WriteResult:
        data: dict[str, Value] = {
            "rule": "hot",
            "version": theirs.version,
            "condition": "t > 50",
            "severity": "warning",
        }
        write([ViewUpdate("rules", RULES_PARTITION, "hot", theirs.version, data)])
        return write(updates)

    monkeypatch.setattr(table, "write", late)
    with pytest.raises(StoreRefused, match="Somebody else"):
        book.put("hot", "t > 1")
    assert (book.known(), stream.told) == ([theirs], [])


def test_a_change_that_is_told_late_says_so(
    book: RuleBook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book.put("hot", "t > 1")
    assert not caplog.records
    times = iter([NOW_MS + 10, *[NOW_MS + 1_500] * 9])
    monkeypatch.setattr(rule_book, "_now_ms", lambda: next(times))
    book.put("hot", "t > 2")
    assert "was told 1490 ms after its version" in caplog.text


def test_there_is_room_for_so_many_rules_and_no_more(book: RuleBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_book, "MAX_RULES", 2)
    book.put("a", "t > 1")
    book.put("b", "t > 1")
    book.put("b", "t > 2")
    with pytest.raises(RuleError, match="There are 2 rules"):
        book.put("c", "t > 1")
    book.put("a", None)
    book.put("c", "t > 1")
