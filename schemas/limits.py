"""How large an event may be, as data: the same JSON configures the JVM edge (`EventLimits.java`).

Whatever an accepted event names becomes part of keys, fields and items behind the decoder, and must fit them: of
DynamoDB a partition key of 2048 bytes, a sort key of 1024 and an item of 400 KB.
"""

import msgspec

from telefold.schemas.rules import RULE_NAME


class TextLimit(msgspec.Struct, frozen=True):
    """The most that one text may have of characters and of bytes."""

    characters: int
    """The most code points."""
    utf8_bytes: int

    def excess(self, text: str) -> str | None:
        """The excess of `text`, as the end of a sentence; None if there is none."""
        if len(text) > self.characters:
            return f"has {len(text)} characters, at most {self.characters} are allowed"
        size = len(text) if text.isascii() else len(text.encode())
        if size > self.utf8_bytes:
            return f"has {size} bytes in UTF-8, at most {self.utf8_bytes} are allowed"
        return None


class EventLimits(msgspec.Struct, frozen=True):
    """Names, here, are those of metrics and of attributes; none is empty or holds a control character."""

    id: TextLimit = TextLimit(256, 512)
    """The limit of event_id, device_id and corrects, which are not empty either."""
    type: TextLimit = TextLimit(128, 256)
    correlation_id: TextLimit = TextLimit(256, 512)
    metrics: int = 1_000
    metrics_of_a_device: int = 2_000
    """The most at a time: a metric that was not reported for longer than lateness and largest window is forgotten."""
    metric_name: TextLimit = TextLimit(128, 512)
    # Squares of readings are summed and DynamoDB numbers end at 1e126.
    metric_magnitude: float = 1e60
    attributes: int = 64
    attribute_name: TextLimit = TextLimit(128, 256)
    attribute_value: TextLimit = TextLimit(256, 512)
    # These have a meaning in the keys of the view rows.
    forbidden_in_names: str = "#{}"
    earliest_time: int = 946_684_800_000
    """2000-01-01T00:00:00Z; times are in epoch milliseconds."""
    ahead_of_arrival_ms: int = 600_000
    acknowledgement: str = "alert_acknowledged"
    """The type of the events whose attributes say which alert somebody sees to."""
    rule_name: str = RULE_NAME.pattern
    """A regular expression that both languages read alike."""
    time_digits: int = 13
    """Digits of a time in an attribute, which is written in ASCII digits: up to the year 2286."""


LIMITS = EventLimits()


def limits_json() -> str:
    """The limits as the JVM decoder takes them."""
    return msgspec.json.encode(LIMITS).decode()
