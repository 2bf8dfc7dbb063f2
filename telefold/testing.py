"""The test kit of a team's fold: `FoldTest` feeds it events and time, and holds the rows that it wrote."""

from telefold.operators.folds.testing import FoldTest

__all__ = ["FoldTest"]
