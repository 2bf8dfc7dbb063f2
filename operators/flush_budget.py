"""How long what passes through the job waits on its way, all of it within `flush.interval`."""

from typing import NamedTuple


class FlushBudget(NamedTuple):
    """Shares of the flush interval, in milliseconds, each at least one.

    Through a fold in Python go events, then contributions to groups, then rows; through rollups of groups what is
    combined in a task, then what is merged, then rows.
    """

    interval_ms: int

    @property
    def events_ms(self) -> int:
        """The longest that an event waits for others of its device."""
        return max(1, self.interval_ms * 5 // 8)

    @property
    def contributions_ms(self) -> int:
        """The longest that a contribution waits for others to its group."""
        return max(1, self.interval_ms // 8)

    @property
    def rows_ms(self) -> int:
        """The longest that a row waits for those of other devices."""
        return max(1, self.interval_ms // 4)

    @property
    def combined_ms(self) -> int:
        """The longest that a task holds what its devices add to a group."""
        return max(1, self.interval_ms // 4)

    @property
    def merged_ms(self) -> int:
        """The longest that a group's task holds what the others add to it."""
        return max(1, self.interval_ms - self.combined_ms - self.rows_ms)
