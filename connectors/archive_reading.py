"""Parts of the archive that a job reads, and what it does when that is read."""

from dataclasses import dataclass

from telefold.schemas.log_records import Positions


@dataclass(frozen=True)
class UpTo:
    """Each shard's records up to `positions`, less what the job's state has, then the stream right behind them."""

    path: str
    positions: Positions
    despite_holes: bool = False
    """Whether records that the archive lacks are passed over, or end the reading."""


@dataclass(frozen=True)
class Following:
    """The whole archive, and then whatever is added to it, until the job is cancelled."""

    path: str
    despite_holes: bool = False


@dataclass(frozen=True)
class Between:
    """Records that arrived before until_ms, of one device where it is given; then the job ends.

    What came before since_ms is only there to be gone on from: without it, late events would be in time, and windows
    would lack what they had.
    """

    path: str
    since_ms: int
    until_ms: int
    device: str | None = None


ArchiveReading = UpTo | Following | Between
