"""What is told of a command that takes its time."""

import sys
import time

import pytest

from telefold.cli import progress
from telefold.cli.progress import counting, waiting


def test_what_is_quick_is_not_told_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("Starting Flink"), counting("Reading the log") as tell:
        tell(1)
    assert capsys.readouterr() == ("", "")


def test_what_takes_long_is_told_once_even_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LONG_S", 0.01)
    for what in (waiting("Starting [Flink]"), counting("Reading the log")):
        with what:
            time.sleep(0.2)
    assert capsys.readouterr() == ("", "Starting [Flink] ...\nReading the log ...\n")


def test_on_a_terminal_it_is_told_at_once_and_what_is_printed_goes_where_it_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with waiting("Starting Flink"):
        sys.stdout.write("up\n")
    with counting("Reading the log", 7, "records") as tell:
        tell(5)
    said = capsys.readouterr()
    assert said.out == "up\n"
    for words in ("Starting Flink ...", "Reading the log", "5 of 7 records"):
        assert words in said.err
