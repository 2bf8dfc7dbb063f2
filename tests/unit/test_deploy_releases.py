"""The record of releases: what it keeps through attempts, proofs and rollbacks."""

from pathlib import Path

import msgspec
import pytest

from telefold.deploy.managed import environments
from telefold.deploy.managed.environments import Environment
from telefold.deploy.managed.releases import Attempt, Proven, Record, Release, code_key
from telefold.schemas.errors import DeployError


def release(word: str) -> Release:
    return Release(f"code/{word}.zip", "templates/t.yaml", {"CodeKey": word})


def proven(word: str, before: str | None = None) -> Proven:
    return Proven(release(word), 1.0, before, f"proof-{word}")


THREE = Record((proven("one"), proven("two", "before-two"), proven("three", "before-three")))


def test_an_attempt_is_beside_what_was_proven_until_it_is_settled() -> None:
    trying = THREE.trying(Attempt(release("four"), "before-four"))
    assert trying.current == THREE.current
    assert trying.settled() == THREE
    assert trying.settled(proven("four", "before-four")).current == proven("four", "before-four")


def test_the_last_ten_are_kept() -> None:
    record = Record()
    for number in range(12):
        record = record.settled(proven(str(number)))
    assert [one.release for one in record.proven] == [release(str(number)) for number in range(2, 12)]


def test_the_current_release_proven_anew_stays_one_and_keeps_what_it_replaced() -> None:
    again = THREE.settled(Proven(release("three"), 2.0, "before-later", "proof-later"))
    assert len(again.proven) == 3
    assert again.current == Proven(release("three"), 2.0, "before-three", "proof-later")


@pytest.mark.parametrize(
    ("to", "left", "snapshot"), [(None, 2, "before-three"), ("two", 2, "before-three"), ("one", 1, "before-two")]
)
def test_an_earlier_release_comes_with_the_snapshot_that_it_left(to: str | None, left: int, snapshot: str) -> None:
    assert THREE.earlier(to) == (Record(THREE.proven[:left]), snapshot)


@pytest.mark.parametrize(("record", "to"), [(THREE, "three"), (THREE, "five"), (Record(THREE.proven[:1]), None)])
def test_there_may_be_none(record: Record, to: str | None) -> None:
    assert record.earlier(to) is None


def test_snapshots_that_a_rollback_may_ask_for_are_known() -> None:
    record = THREE.trying(Attempt(release("four"), "before-four"))
    proofs = {"proof-one", "proof-two", "proof-three"}
    assert record.snapshots == proofs | {"before-two", "before-three", "before-four"}


def test_a_record_survives_being_written() -> None:
    record = THREE.trying(Attempt(release("four"), None, in_place=False))
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


def test_a_package_is_named_by_its_content(tmp_path: Path) -> None:
    one, same, other = tmp_path / "one.zip", tmp_path / "same.zip", tmp_path / "other.zip"
    one.write_bytes(b"content")
    same.write_bytes(b"content")
    other.write_bytes(b"else")
    assert code_key(one) == code_key(same) != code_key(other)
    assert code_key(one).startswith("code/")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not in its form"),
        ('{"Tags": {}}', "not in its form"),
        ('{"Parameters": {"Parallelism": 4}}', "Parallelism is no text"),
        ('{"Parameters": {"Environment": "other"}}', "the parameter Environment must be mine"),
    ],
)
def test_a_bad_environment_file_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(DeployError, match=told):
        environments.load("mine", tmp_path)


def test_an_environment_names_its_stacks(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"Parameters": {"Environment": "mine"}}')
    found = environments.load("mine", tmp_path)
    assert found == Environment("mine", {"Environment": "mine"})
    assert (found.application, found.artifact_stack) == ("telefold-mine", "telefold-mine-artifacts")
