"""The fast store filled again, beside the running job, once it was emptied or replaced."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol
from uuid import uuid4

from telefold.schemas.errors import StoreError, StoreUnavailable, TelefoldError

logger = logging.getLogger(__name__)

_CLAIMED_S = 60
_RENEWED_EVERY_S = 15.0
_MARGIN_S = 30.0


class Watch(Protocol):
    """What a writer asks before each write."""

    def look(self) -> bool:
        """Whether the fast store is to be given what is for the durable one."""
        ...

    def close(self) -> None: ...


class Marker(Protocol):
    """The mark of the fast store that says whether it is whole: `connectors.redis_views.RedisMarker` is one."""

    def whole_since(self) -> float | None: ...

    def claim(self, owner: str, for_s: int) -> bool: ...

    def release(self, owner: str) -> None: ...

    def close(self) -> None: ...


class Healing:
    """Sees that the fast store has lost what it held, and has one of the job's tasks fill it by `fill`.

    It looks by itself every `every_s` seconds, as an idle job writes nothing.

    `fill` writes all that is hot, marks the store as whole and returns how many rows it read; it is given an event
    that tells it to stop. What the durable store is given meanwhile, and until everything that was due when the store
    was lost has been written, is for the fast one, too: that had it once and lost it. `clock` returns epoch seconds.
    """

    def __init__(
        self,
        marker: Marker,
        fill: Callable[[threading.Event], int],
        durable_s: float,
        clock: Callable[[], float] = time.time,
        pause_s: float = 3.0,
        every_s: float = 10.0,
    ) -> None:
        self._marker = marker
        self._fill = fill
        self._mirrored_s = durable_s + _MARGIN_S
        self._clock = clock
        self._pause_s = pause_s
        self._owner = uuid4().hex
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._keep_looking, args=(every_s,), name="healing-watch", daemon=True)
        self._watch.start()

    def _keep_looking(self, every_s: float) -> None:
        while not self._stopping.wait(every_s):
            try:
                self.look()
            except Exception:
                logger.exception("Redis could not be looked at; this is a fault of Telefold")

    def look(self) -> bool:
        """Do what `Watch` says, and see to it that a store which was emptied is filled."""
        try:
            since = self._marker.whole_since()
            if since is None:
                self._heal()
        except StoreUnavailable:
            return True
        return since is None or self._clock() < since + self._mirrored_s

    def _heal(self) -> None:
        with self._lock:
            is_filling = self._thread is not None and self._thread.is_alive()
            if not is_filling and not self._stopping.is_set() and self._marker.claim(self._owner, _CLAIMED_S):
                logger.warning("Redis was emptied, or is new: filling it with what is hot, beside the job")
                self._thread = threading.Thread(target=self._fill_it, name="healing", daemon=True)
                self._thread.start()

    def _fill_it(self) -> None:
        """Wait for other tasks to notice first: what they are just writing to the durable store alone is read then."""
        renewing = threading.Thread(target=self._renew, name="healing-claim", daemon=True)
        began = time.monotonic()
        try:
            renewing.start()
            if not self._stopping.wait(self._pause_s):
                rows = self._fill(self._stopping)
                self._marker.release(self._owner)
                logger.warning("Redis has all that is hot again: %d rows, after %.1f s", rows, time.monotonic() - began)
        except TelefoldError as error:
            if not self._stopping.is_set():
                logger.warning("Redis could not be filled, and will be tried again: %s", error)
        except Exception:
            logger.exception("Redis could not be filled; this is a fault of Telefold")

    def _renew(self) -> None:
        while not self._stopping.wait(_RENEWED_EVERY_S) and self._thread is not None and self._thread.is_alive():
            try:
                self._marker.claim(self._owner, _CLAIMED_S)
            except StoreError as error:
                logger.debug("the claim could not be renewed: %s", error)

    def close(self) -> None:
        self._stopping.set()
        self._watch.join()
        if self._thread is not None:
            self._thread.join()
        self._marker.close()
