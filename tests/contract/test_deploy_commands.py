"""`telefold deploy`, `status`, `snapshot` and `rollback` as people type them, against an emulated AWS."""

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.aws.application import Behaviour
from tests.support.aws.cloud import Cloud
from tests.support.deploys import Team
from tests.support.run_command import Run, command_runner


@pytest.fixture
def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return command_runner(cloud, monkeypatch, capsys)


def said(answer: tuple[int, str, str]) -> Any:
    code, out, err = answer
    assert code == 0, err
    return msgspec.json.decode(out)


def test_from_nothing_to_a_rollback(run: Run, team: Team) -> None:
    one, two = str(team.package("one")), str(team.package("two"))
    planned = said(run("deploy", "--env", "dev", "--zip", one, "--plan", "--json"))
    assert planned["stacks"]["telefold-dev"] is None
    assert said(run("deploy", "--env", "dev", "--zip", one, "--json"))["changed"]
    assert not said(run("deploy", "--env", "dev", "--zip", one, "--json"))["changed"]
    code, out, err = run("deploy", "--env", "dev", "--zip", two)
    assert code == 0
    assert "taking snapshot before-" in err
    assert "next: telefold status --env dev" in out
    assert said(run("snapshot", "--env", "dev", "--name", "mine", "--json")) == {"snapshot": "mine"}
    found = said(run("status", "--env", "dev", "--json"))
    assert found["works"]
    assert said(run("rollback", "--env", "dev", "--to", found["earlier"][0], "--json"))["changed"]
    assert team.runs("one")
    assert "to go back to" in run("status", "--env", "dev")[1]


def test_every_command_names_the_next(run: Run, team: Team) -> None:
    one = str(team.package("one"))
    assert "next: the same without --plan" in run("deploy", "--env", "dev", "--zip", one, "--plan")[1]
    run("deploy", "--env", "dev", "--zip", one)
    planned = run("deploy", "--env", "dev", "--zip", str(team.package("two")), "--plan")[1]
    assert "to be uploaded" in planned
    assert "Application" in planned
    assert "runs in dev already" in run("deploy", "--env", "dev", "--zip", one)[1]


def test_a_release_that_does_not_work_is_a_sentence_with_its_cause(run: Run, team: Team) -> None:
    run("deploy", "--env", "dev", "--zip", str(team.package("one")))
    code, _, err = run("deploy", "--env", "dev", "--zip", str(team.package("two", Behaviour.SILENT)))
    assert code == 1
    assert "ModuleNotFoundError: No module named 'telefold'" in err
    assert "runs again, from snapshot before-" in err
    assert 'Traceback (most recent call last):\n    File "main.py"' in err


def test_the_status_of_nothing_is_told_and_is_no_success(run: Run) -> None:
    code, out, _ = run("status", "--env", "prod")
    assert code == 1
    assert "not there" in out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("deploy --env nowhere", "There is no environment nowhere (there are dev, prod, staging)"),
        ("deploy --env dev --zip missing.zip", "run `telefold package` first"),
        ("deploy --env dev --zip missing.zip --plan", "run `telefold package` first"),
        ("deploy --env dev --patience soon", "--patience = 'soon'"),
        ("rollback --env dev", "run `telefold deploy --env dev`"),
        ("snapshot --env dev", "does not run"),
    ],
)
def test_what_cannot_begin_says_who_must_do_what(run: Run, command: str, told: str) -> None:
    code, _, err = run(*shlex.split(command))
    assert code in (1, 2)
    assert told in err


def test_what_aws_refuses_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "http://127.0.0.1:9")
    code, _, err = run("status", "--env", "dev")
    assert code == 1
    assert "AWS does not do what it was asked" in err
    assert "check credentials, rights and region" in err


def test_a_region_has_to_be_named_somewhere(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    code, _, err = run("status", "--env", "dev")
    assert code == 2
    assert "--region" in err


def test_broken_off_it_says_how_to_go_on(run: Run, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(team.cloud.clock, "sleep", interrupt)
    code, _, err = run("deploy", "--env", "dev", "--zip", str(team.package("one")))
    assert code == 130
    assert "`telefold deploy --env dev` goes on" in err


@pytest.mark.parametrize("command", ["deploy --env dev --zip one.zip --plan", "status --env dev", "destroy --env dev"])
def test_without_credentials_it_says_how_to_get_some(
    run: Run, team: Team, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(team.package("one").parent)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, _, err = run(*shlex.split(command))
    assert code == 1
    assert "There are no AWS credentials to ask with" in err
    assert "AWS_PROFILE" in err


def test_a_profile_that_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_PROFILE", "plant")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    code, _, err = run("status", "--env", "dev")
    assert code == 1
    assert "(The config profile (plant) could not be found)" in err
