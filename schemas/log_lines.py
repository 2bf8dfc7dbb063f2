"""How a line of the log ends with what can be searched for, in the JVM and in Python alike: `key=value` pairs."""

import json
import logging
import re

_PLAIN = re.compile(r"[\w.:/+-]+")
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldsFormatter(logging.Formatter):
    """The message and after it what was given as `extra`. Tracebacks are left to the handler."""

    def format(self, record: logging.LogRecord) -> str:
        extra = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD and value is not None}
        return " ".join([record.getMessage(), *(f"{key}={_text(value)}" for key, value in extra.items())])


def set_up_log() -> None:
    """Set up the log of a task, whose handlers are Flink's: lines have their fields, and begin at INFO.

    An interpreter inside the JVM would else make a line of everything that libraries say for debugging, and drop it.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in root.handlers:
        if not isinstance(handler.formatter, FieldsFormatter):
            handler.setFormatter(FieldsFormatter())


def _text(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
