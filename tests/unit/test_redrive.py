"""What is made of dead letters, and what is to be done about them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner, Result

from telefold.cli import schemas
from telefold.connectors.dead_letters import DeadLetter, distinct
from telefold.schemas.codec import CURRENT_VERSION, encode, schema_text
from telefold.schemas.errors import Reason, SettingsError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import LIMITS
from telefold.upkeep.redrive import Choice, NextStep, Spool, Tally, examine, next_step

ARRIVAL = 1_769_860_800_000
EVENT = DeviceEvent("e-1", "device-1", "telemetry", ARRIVAL - 1_000, 1, {"temperature": 21.5})
HOUR = 3_600_000
TIME_RULES = Path(__file__).parents[2] / "connectors/jvm/src/main/java/io/telefold/fold/TimeRules.java"
UNKNOWN = b"\xc3\x01" + b"\x07" * 8 + b"body"


def letter(payload: bytes = encode(EVENT), sequence: int = 1, **fields: Any) -> DeadLetter:
    made = DeadLetter(Reason.UNKNOWN_FINGERPRINT, "detail", payload, "device-1", "shard-0", str(sequence), ARRIVAL)
    return msgspec.structs.replace(made, **fields)


def late(behind_ms: int, **fields: Any) -> DeadLetter:
    detail = f"event_time 1 is {behind_ms} ms behind the newest event of its device, and rollup.lateness allows 1 ms"
    return letter(reason=Reason.TOO_LATE, detail=detail, **fields)


def test_an_identity_is_what_people_can_copy() -> None:
    assert letter(sequence=4711).identity == "shard-0:4711"
    assert letter(sequence=4711, sub_sequence_number=2).identity == "shard-0:4711:2"


def test_a_letter_whose_schema_is_known_by_now_is_an_event() -> None:
    assert examine(letter()).event == EVENT


def test_time_is_judged_by_the_original_arrival() -> None:
    early = letter(encode(msgspec.structs.replace(EVENT, event_time=ARRIVAL + LIMITS.ahead_of_arrival_ms + 1)))
    assert examine(early).reason is Reason.TIME_IN_FUTURE
    assert examine(msgspec.structs.replace(early, arrival=ARRIVAL + 1)).event is not None


@pytest.mark.parametrize(
    ("dead", "archived", "step", "words"),
    [
        (letter(), True, NextStep.REDRIVE, "redrive --id shard-0:1"),
        (letter(reason=Reason.TOO_MANY_NAMES), True, NextStep.REDRIVE, "fewer metrics"),
        (letter(reason=Reason.TOO_LATE), True, NextStep.REBUILD, "telefold rebuild"),
        (letter(reason=Reason.TOO_LATE), False, NextStep.NOTHING, "telefold.archive/path"),
        (late(HOUR), True, NextStep.REDRIVE, "redrive --reason too_late --id shard-0:1"),
        (late(HOUR + 1), True, NextStep.REBUILD, "telefold rebuild"),
        (letter(reason="fold_failed", fold="fleet"), True, NextStep.REBUILD, "The fold fleet failed on this event"),
        (letter(reason="fold_failed", fold="fleet"), False, NextStep.NOTHING, "telefold.archive/path"),
        (letter(reason="row_refused", fold="device"), True, NextStep.REBUILD, "refused this row of device"),
        (letter(b"{}", reason="bad_rule"), True, NextStep.NOTHING, "telefold rules put"),
        (letter(UNKNOWN), True, NextStep.NOTHING, "telefold schemas check"),
        (letter(b""), True, NextStep.NOTHING, "correct their producer"),
    ],
)
def test_the_next_step(dead: DeadLetter, archived: bool, step: NextStep, words: str) -> None:
    found, advice = next_step(dead, examine(dead), archived, HOUR)
    assert found is step
    assert words in advice


def test_letters_of_equal_content_and_reason_are_one_that_came_first() -> None:
    again = letter(sequence=9, arrival=ARRIVAL + 1)
    other_reason, other_key = letter(reason="too_late"), letter(partition_key="device-2", arrival=ARRIVAL - 1)
    found = distinct([again, letter(), other_reason, letter(sequence=5, arrival=ARRIVAL + 2), other_key])
    assert [(one.partition_key, one.reason, one.sequence_number, one.copies) for one in found] == [
        ("device-2", "unknown_fingerprint", "1", 1),
        ("device-1", "unknown_fingerprint", "1", 3),
        ("device-1", "too_late", "1", 1),
    ]


def test_a_choice_is_by_reason_and_identity() -> None:
    one, late = letter(), letter(reason="too_late", sequence=2)
    assert Choice().covers(one)
    assert not Choice(Reason.TOO_LATE).covers(one)
    assert Choice(Reason.TOO_LATE, frozenset({"shard-0:2"})).covers(late)
    assert not Choice(identities=frozenset({"shard-0:2"})).covers(one)


def event(number: int) -> bytes:
    return encode(msgspec.structs.replace(EVENT, event_id=f"e-{number}"))


def test_what_is_sent_is_in_the_order_of_shard_and_sequence_number() -> None:
    spool = Spool(None)
    for sequence, shard in ((10, "shard-0"), (9, "shard-1"), (9, "shard-0"), (100, "shard-0")):
        spool.add(letter(event(sequence) + b"", sequence, shard=shard, partition_key=shard), chosen=True)
    assert [(row.partition_key, row.data) for row in spool.to_send()] == [
        ("shard-0", event(9)),
        ("shard-0", event(10)),
        ("shard-0", event(100)),
        ("shard-1", event(9)),
    ]
    spool.close()


def test_what_was_aggregated_is_sent_in_the_order_of_the_aggregate() -> None:
    spool = Spool(None)
    for sequence, place in ((11, None), (10, 10), (10, 9), (10, 100), (9, 0)):
        spool.add(letter(event(sequence * 1000 + (place or 0)), sequence, sub_sequence_number=place), chosen=True)
    assert [row.data for row in spool.to_send()] == [event(n) for n in (9_000, 10_009, 10_010, 10_100, 11_000)]
    spool.close()


def counted(letters: list[DeadLetter], lateness_ms: int | None = None) -> Tally:
    spool, tally = Spool(lateness_ms), Tally()
    for one in letters:
        spool.add(one, chosen=True)
    spool.count(tally)
    assert len(list(spool.to_send())) == tally.to_send
    spool.close()
    return tally


def test_copies_go_once() -> None:
    assert counted([letter(), letter(sequence=2)]) == Tally(to_send=1)


def test_what_came_too_late_once_is_not_sent_whatever_was_wrong_with_it_before() -> None:
    letters = [letter(), letter(sequence=2, reason="too_late"), letter(event(2), sequence=3, reason="too_late")]
    assert counted(letters) == Tally(too_late=2)
    assert counted(letters[1:], HOUR) == Tally(too_late=2)


def test_what_came_too_late_is_sent_once_it_would_be_in_time_and_show_says_the_same() -> None:
    letters = [late(HOUR), late(HOUR + 1, sequence=2, payload=event(2)), letter(event(3), 3, reason="too_late")]
    assert counted(letters, HOUR) == Tally(to_send=1, too_late=2)
    steps = [next_step(one, examine(one), True, HOUR)[0] for one in letters]
    assert steps == [NextStep.REDRIVE, NextStep.REBUILD, NextStep.REBUILD]


def test_how_far_an_event_was_behind_is_read_as_the_job_words_it() -> None:
    assert "%d ms behind the newest event of its device" in TIME_RULES.read_text("utf-8")


def test_the_rejected_are_counted_by_what_is_wrong_with_them_now() -> None:
    letters = [letter(b"", sequence=1), letter(b"xy", sequence=2), letter(b"xyz", sequence=3)]
    assert counted(letters) == Tally(still_rejected={"bad_header": 2, "empty_record": 1})


def check(*arguments: str) -> Result:
    app = typer.Typer()
    app.add_typer(schemas.app, name="schemas")
    result = CliRunner().invoke(app, ["schemas", "check", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def proposal(folder: Path, **field: object) -> str:
    schema = json.loads(schema_text(CURRENT_VERSION))
    schema["fields"].append(field)
    (folder / "next.avsc").write_text(json.dumps(schema))
    return str(folder / "next.avsc")


def test_every_shipped_version_can_be_read() -> None:
    result = check()
    assert result.exit_code == 0
    assert f"v{CURRENT_VERSION}: shipped as version {CURRENT_VERSION}" in result.stdout
    assert "v1 can be read" in result.stdout


def test_a_good_proposal_is_told_where_to_go(tmp_path: Path) -> None:
    result = check(proposal(tmp_path, name="site", type="string", default=""))
    assert result.exit_code == 0
    assert f"Next: put it at schemas/device_event/v{CURRENT_VERSION + 1}.avsc." in result.stdout


def test_a_bad_proposal_ends_with_1_and_says_why(tmp_path: Path) -> None:
    path = proposal(tmp_path, name="site", type="string")
    result = check(path)
    assert result.exit_code == 1
    assert "v1 cannot be read: site: it is new and has no default" in result.stdout
    report = json.loads(check(path, "--json").stdout)[0]
    assert (report["schema"], report["accepted"], report["version"]) == (path, False, CURRENT_VERSION + 1)
    assert report["versions"][0]["readable"] is False
    assert report["versions"][0]["problems"][0]["field"] == "site"


def test_a_proposal_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.avsc cannot be read"):
        check(str(tmp_path / "none.avsc"))
