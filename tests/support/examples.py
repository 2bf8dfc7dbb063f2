"""How many logs Hypothesis makes up for a property of the folds: some in CI, many times as many in a soak."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("TELEFOLD_EXAMPLES_TIMES", "1"))
"""`make soak TIMES=n` sets it: each property is tried on that many times the logs of a run in CI."""


def examples(count: int) -> settings:
    """`count` logs in CI, however long one takes."""
    return settings(max_examples=count * TIMES, deadline=None)
