"""The work of one run of the telemetry job: which records, and which generation of the views.

Every generation has a lineage, the chain of checkpoints in which its folds live on. A rebuild begins the lineage of the
next one from the archive; the live job goes on with it when it takes the generation over.
"""

from dataclasses import dataclass, field

from telefold.connectors.archive import Archive
from telefold.connectors.archive_reading import ArchiveReading, Between, Following, UpTo
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_archive
from telefold.schemas.corrections import Correction, corrections_in
from telefold.schemas.generations import FIRST, Generations
from telefold.schemas.log_records import Positions

TELEMETRY = "telemetry"


@dataclass(frozen=True)
class RunSpec:
    generation: int = FIRST
    reading: ArchiveReading | None = None
    """The part of the archive that is read first; None reads the stream alone."""
    cut: Positions = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    is_live: bool = True
    """The live job alone keeps the archive and the dead letters: others read records that it has had."""

    @property
    def lineage(self) -> str:
        return lineage(self.generation)

    @property
    def folds_in_python(self) -> bool:
        """A replay of a part of the log would show what they made of that part."""
        return not isinstance(self.reading, Between)

    @property
    def rows_since_ms(self) -> int | None:
        """The arrival, in epoch milliseconds, from which on records have their rows written; None for all rows."""
        return self.reading.since_ms if isinstance(self.reading, Between) else None

    @property
    def read_from_archive(self) -> Positions:
        return self.reading.positions if isinstance(self.reading, UpTo) else {}


LIVE = RunSpec()


def lineage(generation: int) -> str:
    """The name of a generation's state: of its checkpoints and of its part in the archive."""
    return TELEMETRY if generation == FIRST else f"{TELEMETRY}-g{generation}"


def live(settings: Settings, generations: Generations, *, resumes: bool) -> RunSpec:
    """The live job's: what its state lacks of the archive, then the stream.

    It `resumes` from a checkpoint or else folds the whole log, the archived part of which has its corrections.
    """
    number = generations.live
    cut = generations.cuts.get(number, {})
    if settings.archive.path is None:
        return RunSpec(number, cut=cut)
    archive = open_archive(settings)
    ends = archive.ends()
    corrections = () if resumes else _corrections(archive, cut)
    return RunSpec(number, UpTo(archive.path, ends, settings.archive.despite_holes) if ends else None, cut, corrections)


def rebuild(settings: Settings, generations: Generations, number: int) -> RunSpec:
    """The spec of a rebuild of generation `number`: the archive, and whatever the live job adds to it."""
    archive = open_archive(settings)
    cut = generations.cuts[number]
    return RunSpec(
        number, Following(archive.path, settings.archive.despite_holes), cut, _corrections(archive, cut), is_live=False
    )


def replay(settings: Settings, generations: Generations, since_ms: int, until_ms: int, device: str | None) -> RunSpec:
    """The spec of a replay of a part of the archive into the current generation, decided as that was folded."""
    archive = open_archive(settings)
    cut = generations.cuts.get(generations.current, {})
    reading = Between(archive.path, since_ms, until_ms, device)
    return RunSpec(generations.current, reading, cut, _corrections(archive, cut), is_live=False)


def _corrections(archive: Archive, cut: Positions) -> tuple[Correction, ...]:
    """The corrections within `cut`; reads the whole archive."""
    return tuple(corrections_in(archive.read(), cut).values()) if cut else ()
