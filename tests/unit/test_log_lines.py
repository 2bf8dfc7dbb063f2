"""Lines of the log end with fields that can be searched for, and the JVM writes each as one JSON object."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefold.schemas.log_lines import FieldsFormatter, set_up_log

LAYOUT = Path(__file__).parents[2] / "deploy" / "minicluster" / "log4j.properties"


def line(message: str, *arguments: object, **fields: object) -> str:
    record = logging.LogRecord("telefold", logging.WARNING, "x.py", 1, message, arguments, None)
    vars(record).update(fields)
    return FieldsFormatter().format(record)


def test_a_line_without_fields_is_its_message() -> None:
    assert line("%s is back after %.1f s", "redis", 7.94) == "redis is back after 7.9 s"


def test_fields_follow_in_their_order_and_those_that_are_not_known_are_left_out() -> None:
    fields = {"device": "boiler-7", "event_id": "a/b:1", "correlation_id": None, "attempt": 3}
    assert line("failed", **fields) == "failed device=boiler-7 event_id=a/b:1 attempt=3"


@pytest.mark.parametrize(
    ("value", "written"), [("two words", '"two words"'), ('"', '"\\""'), ("a\nb", '"a\\nb"'), ("", '""'), ("ü", "ü")]
)
def test_a_value_that_might_be_misread_is_quoted_as_in_json(value: str, written: str) -> None:
    assert line("m", device=value) == f"m device={written}"


def test_a_traceback_is_left_to_the_handler() -> None:
    record = logging.LogRecord("telefold", logging.ERROR, "x.py", 1, "failed", (), None)
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert FieldsFormatter().format(record) == "failed"


@pytest.fixture
def handler() -> Iterator[logging.Handler]:
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    formatters = {each: each.formatter for each in logging.getLogger().handlers}
    yield handler
    logging.getLogger().setLevel(level)
    for each, formatter in formatters.items():
        each.setFormatter(formatter)
    logging.getLogger().removeHandler(handler)


def test_handlers_of_flinks_are_set_up_once(handler: logging.Handler) -> None:
    set_up_log()
    first = handler.formatter
    set_up_log()
    assert isinstance(first, FieldsFormatter)
    assert handler.formatter is first
    assert not logging.getLogger("botocore").isEnabledFor(logging.DEBUG)


def test_the_jvms_layout_is_one_object_a_line_whose_texts_are_escaped() -> None:
    (pattern,) = re.findall(r"^appender.console.layout.pattern = (.*)$", LAYOUT.read_text(), re.MULTILINE)
    names = re.findall(r'"(\w+)":', pattern)
    assert names == ["time", "level", "logger", "thread", "job", "message", "error"]
    assert {"%enc{%m}{JSON}", "%enc{%throwable}{JSON}", "%enc{%t}{JSON}"} <= set(
        re.findall(r"%enc{%\w+}{JSON}", pattern)
    )
    assert pattern.endswith("}%n")
