"""Times as people write them on the command line."""

import re
from datetime import UTC, datetime

from telefold.schemas.setting_values import parse_duration

ALLOWED = "an ISO 8601 time (2026-01-31T12:00:00Z), epoch milliseconds, or how long ago (15m, 2h, 1d)"


def parse_time(text: str, now: int) -> int:
    """Epoch milliseconds of `text`, seen from `now`; without an offset it is UTC. ValueError says what is allowed."""
    text = text.strip()
    if re.fullmatch(r"\d{12,}", text):
        return int(text)
    if re.fullmatch(r"\d{10,11}", text):
        raise ValueError(f"{text!r} looks like epoch seconds; write milliseconds ({text}000), or {ALLOWED}")
    try:
        return now - parse_duration(re.sub(r"^-|\s*ago$", "", text))
    except ValueError:
        pass
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write {ALLOWED}") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
