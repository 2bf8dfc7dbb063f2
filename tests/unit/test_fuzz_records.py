"""The generator of the fuzz: repeatable, complete, and within what Kinesis takes."""

from collections import Counter
from itertools import islice

import pytest

from telefold.connectors.event_log import MAX_RECORD_BYTES
from telefold.schemas.codec import decode
from telefold.schemas.errors import OF_RECORDS, Reason, RejectedEvent
from tests.fuzz import calm, own_fold
from tests.fuzz.records import CALM, CALM_EVERY, KINDS, Recipe, Record
from tests.fuzz.rule_records import KINDS as RULE_KINDS
from tests.fuzz.rule_records import NAMES, RuleRecipe

START = 1_795_890_000_000
RECORDS = 4_000


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(islice(Recipe(7, START).records(), RECORDS))


def test_the_same_seed_gives_the_same_records(records: list[Record]) -> None:
    assert list(islice(Recipe(7, START).records(), 500)) == records[:500]
    assert [one.data for one in islice(Recipe(8, START).records(), 500)] != [one.data for one in records[:500]]


def test_each_record_can_be_made_alone(records: list[Record]) -> None:
    assert all(Recipe(7, START).record(number) == records[number] for number in (0, 1, 77, 3_999))


def test_every_kind_occurs(records: list[Record]) -> None:
    assert {record.kind for record in records} == {CALM, *KINDS}


def test_what_is_left_out_and_its_duplicates_are_not_sent(records: list[Record]) -> None:
    left_out = {record.data for record in records if record.kind == "own"}
    rest = list(islice(Recipe(7, START).records(frozenset({"own"})), RECORDS // 2))
    assert not left_out & {record.data for record in rest}
    assert all(record == records[record.number] for record in rest)


def test_kinesis_takes_every_record_and_one_is_nearly_as_great_as_can_be(records: list[Record]) -> None:
    sizes = [len(record.data) + len(record.partition_key.encode()) for record in records]
    assert max(sizes) <= MAX_RECORD_BYTES
    assert max(sizes) > MAX_RECORD_BYTES * 0.9
    assert all(1 <= len(record.partition_key) <= 256 for record in records)


def test_most_reasons_of_rejected_records_occur_and_most_events_are_valid(records: list[Record]) -> None:
    reasons: Counter[Reason | None] = Counter(map(reason_of, records))
    assert reasons.keys() >= {None, *(OF_RECORDS - {Reason.ID_TOO_LONG, Reason.EMPTY_ID})}
    assert reasons[None] > RECORDS / 2


def test_a_device_is_in_one_shard(records: list[Record]) -> None:
    """Records of a device under two keys have no order."""
    keys: dict[str, set[str]] = {}
    for record in records:
        if reason_of(record) is None:
            device_id = decode(record.data, START + 60_000).device_id
            keys.setdefault(device_id, set()).add(record.partition_key)
    assert not [device_id for device_id, found in keys.items() if len(found) > 1]


def test_the_calm_fleet_reports_in_turn(records: list[Record]) -> None:
    calm_records = [record for record in records if record.kind == CALM]
    events = [decode(record.data, START + 60_000) for record in calm_records]
    assert len(events) == RECORDS / CALM_EVERY
    assert {event.device_id for event in events} == set(calm.DEVICES)
    assert [event.event_time for event in events] == sorted(event.event_time for event in events)
    assert {event.type for event in events[: len(calm.DEVICES)]} == {"registered"}
    assert any(event.metrics.get("temperature", 0) > calm.HOT.limit for event in events)


def test_every_trick_of_the_own_fold_is_played(records: list[Record]) -> None:
    played = {record.partition_key for record in islice(Recipe(7, START).records(), 20_000) if record.kind == "own"}
    assert played == {f"own-{trick}" for trick in own_fold.TRICKS}


def test_rules_are_repeatable_and_of_every_kind() -> None:
    rules = [RuleRecipe(7, START).record(number) for number in range(100)]
    assert rules == [RuleRecipe(7, START).record(number) for number in range(100)]
    assert {rule.kind for rule in rules} == set(RULE_KINDS)
    assert max(len(rule.data) for rule in rules) < MAX_RECORD_BYTES


def test_no_rule_of_the_noise_is_one_of_the_calm_fleet() -> None:
    assert not NAMES & calm.RULES.keys()


def reason_of(record: Record) -> Reason | None:
    try:
        decode(record.data, START + 60_000)
    except RejectedEvent as rejected:
        return rejected.reason
    return None
