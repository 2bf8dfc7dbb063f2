"""Fakes where the code that is tested asks for a client of AWS."""

from typing import Any


def stand_in(fake: object) -> Any:
    """Return `fake` as whatever is asked for: it has those operations of the client that the test makes use of."""
    return fake
