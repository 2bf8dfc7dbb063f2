"""`make test-containers`: the contract suites and a job end to end, on Kinesis, DynamoDB and Redis in containers."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from telefold.deploy.local.servers import REDIS
from tests.containers import engine, images
from tests.containers.steps import CannotRun

_CONTRACTS = ("test_view_stores.py", "test_view_store_limits.py", "test_event_log.py", "test_dead_letters.py")
"""What stores, log and dead letters promise; the other suites of tests/contract would take minutes more."""
_TESTS_S, _END_S = 600, 20


def main(
    own_engine: Annotated[
        bool, typer.Option(help="Where no engine answers, install and start one (root only).")
    ] = False,
    or_say_why: Annotated[bool, typer.Option(help="Where containers cannot run, only say why: exit code 0.")] = False,
) -> None:
    """Run them on the Docker engine that answers; images are pulled, or built from packages where they cannot be."""
    try:
        with engine.running(own_engine, _say) as found:
            version, references = found.client.version()["Version"], images.ready(found.client, _say)
            engine.check(found.client, references[REDIS], [images.IMAGES[REDIS].command[0], "--version"])
            named = {images.variable(name): reference for name, reference in references.items()}
            code = _pytest({**found.environment, **named})
    except CannotRun as reason:
        _say(f"NOT RUN. {reason}")
        raise typer.Exit(0 if or_say_why else 1) from reason
    _say(f"{'passed' if code == 0 else 'FAILED'} on Docker {version}, {', '.join(sorted(set(references.values())))}")
    raise typer.Exit(code)


def _pytest(environment: Mapping[str, str]) -> int:
    """Its exit code. What takes too long is interrupted, and has time to end what it started."""
    chosen = ["--containers", "tests/containers", *(f"tests/contract/{name}" for name in _CONTRACTS)]
    command = [sys.executable, "-m", "pytest", "-q", *chosen]
    tests = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        return tests.wait(_TESTS_S)
    except subprocess.TimeoutExpired:
        _say(f"the tests did not end within {_TESTS_S} s")
        tests.send_signal(signal.SIGINT)
    try:
        return tests.wait(_END_S) or 1
    except subprocess.TimeoutExpired:
        tests.kill()
        return tests.wait()


def _say(sentence: str) -> None:
    print(f"==> containers: {sentence}", flush=True)


if __name__ == "__main__":
    typer.run(main)
