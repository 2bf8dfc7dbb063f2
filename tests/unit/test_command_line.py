"""What holds for the command line as a whole: how errors are headed, and that shells can complete it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from telefold.cli.main import main
from telefold.deploy import leases
from telefold.deploy.minicluster.environment import Paths
from telefold.deploy.minicluster.lock import only_run
from telefold.jobs import judging, preflight, stores
from telefold.jobs.run_spec import TELEMETRY
from telefold.schemas.generations import Generations
from tests.support.properties import set_properties

GROUPS = {
    "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1"},
    "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1:2"},
    "telefold.dead-letter": {"stream.name": "dead"},
    "telefold.alerts": {"rules.stream.name": "rules"},
}


@pytest.fixture
def properties(tmp_path: Path) -> Path:
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    set_properties(path, GROUPS)
    return path


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of `telefold` with these arguments."""
    monkeypatch.setattr("sys.argv", ["telefold", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "heading"),
    [
        (["rules", "try", "temperature > > 80"], "The rule cannot be used:"),
        (["query", "rollups", "d", "--since", "soon"], "What was typed cannot be used:"),
        (["schemas", "check", "nowhere.avsc"], "What was typed cannot be used:"),
        (["query", "latest", "d", "--properties", "nowhere.json"], "The settings cannot be used:"),
    ],
)
def test_an_error_is_headed_by_what_is_wrong(
    properties: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    heading: str,
) -> None:
    if "--properties" not in arguments and arguments[0] != "schemas":
        arguments = [*arguments, "--properties", str(properties)]
    assert typed(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == heading


class Store:
    def load(self) -> Generations:
        return Generations()

    def publish(self, generations: Generations) -> None: ...

    def close(self) -> None: ...


def until_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that `run` does before it claims the lease is done."""
    monkeypatch.setattr(preflight, "check", lambda *_, **__: None)
    monkeypatch.setattr(stores, "eviction", lambda _: None)
    monkeypatch.setattr(stores, "open_generations", lambda _: Store())
    monkeypatch.setattr(judging, "unknown_devices", lambda *_: None)


@pytest.fixture
def sigterm_as_before() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("sigterm_as_before")
def test_a_second_run_is_refused_before_it_says_that_it_runs(
    properties: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    until_the_lease(monkeypatch)
    monkeypatch.setattr(leases, "held", lambda *_: nullcontext())
    with only_run(Paths.below(properties.parent, TELEMETRY, TELEMETRY).lock, TELEMETRY):
        assert typed(monkeypatch, "run", "telemetry", "--properties", str(properties)) == 1
    said = "".join(capsys.readouterr())
    assert "already runs" in said
    assert "Running" not in said


@pytest.mark.usefixtures("sigterm_as_before")
def test_a_run_that_is_asked_to_stop_before_the_job_begins_releases_what_it_holds(
    properties: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    until_the_lease(monkeypatch)
    released: list[bool] = []

    @contextmanager
    def held(*_: object) -> Iterator[None]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            yield
        finally:
            released.append(True)

    monkeypatch.setattr(leases, "held", held)
    assert typed(monkeypatch, "run", "telemetry", "--properties", str(properties)) == 143
    assert released == [True]
    assert capsys.readouterr().err == "Stopped before the job began.\n"


def test_a_shell_completes_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"_TELEFOLD_COMPLETE": "complete_bash", "COMP_WORDS": "telefold qu", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    typed(monkeypatch)
    assert capsys.readouterr().out.split() == ["query"]
