"""The live job's part in a rebuild: it follows the pointer, and takes the next generation over when that is ready."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from telefold.connectors.generations import GenerationStore
from telefold.deploy.flink_rest import Progress
from telefold.schemas.errors import GenerationError, StoreUnavailable
from telefold.schemas.generations import Generations

_LOOK_EVERY_S = 1.0
METRICS_ARE_AS_OLD_AS_S = 2.0


class LiveRole:
    """Says when a run of `generation` is over, and switches readers to it once it shows all that they have seen.

    Before this run began, another one of the generation that readers see may have written rows up to that moment.
    """

    def __init__(
        self,
        store: GenerationStore,
        generation: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._generation = generation
        self._say = say
        self._caught_up = CoveredBy(lambda progress: has_read_past(progress, began, clock()), clock)
        began = clock()
        self._known = store.load()
        self._takes_over = self._known.current != generation
        self._announced = False

    @property
    def wanted(self) -> int:
        """The generation that the live job has to run."""
        return self._known.live

    @property
    def _has_switched(self) -> bool:
        """Whether readers saw another generation when this run began and see its own now."""
        return self._takes_over and self._known.current == self._generation

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the pointer every second until the end of the block, and mend the copy that Redis has of it.

        A store that is away is asked again.
        """
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(_LOOK_EVERY_S):
            with suppress(StoreUnavailable):
                self._known = self._store.load()
                self._store.publish(self._known)

    def is_over(self, progress: Progress) -> bool:
        """Whether the run is to end, seen from its progress; switches when it is time."""
        if self._known.ready and self.wanted == self._generation and self._caught_up(progress):
            self._switch()
        if self._has_switched and not self._announced:
            self._announce()
        return self.wanted != self._generation

    def _switch(self) -> None:
        """Switch readers. If somebody else changed the generations, or the store is away, the next look decides."""
        with suppress(GenerationError, StoreUnavailable):
            self._known = self._store.change(Generations.switch)

    def _announce(self) -> None:
        self._announced = True
        self._say(
            f"Readers see generation {self._generation} of the views now. `telefold rebuild --rollback` brings the one"
            " before back, `telefold rebuild --clean` drops it."
        )


class CoveredBy:
    """True once a checkpoint has begun after `condition` was first true, and has completed."""

    def __init__(self, condition: Callable[[Progress], bool], clock: Callable[[], float] = time.time) -> None:
        self._condition = condition
        self._clock = clock
        self._since: float | None = None

    def __call__(self, progress: Progress) -> bool:
        if self._since is None and self._condition(progress):
            self._since = self._clock()
        return (
            self._since is not None
            and progress.checkpoint is not None
            and progress.checkpoint.triggered_at > self._since
        )


def has_read_past(progress: Progress, moment: float, now: float) -> bool:
    """Whether everything that had arrived by `moment` has been read; both in epoch seconds."""
    if progress.archive_bytes_left or progress.behind_ms < 0:
        return False
    return now - METRICS_ARE_AS_OLD_AS_S - progress.behind_ms / 1000 > moment
