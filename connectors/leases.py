"""The record of the lease in the durable store, and the writer that keeps it alive while its job runs."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from telefold.schemas.errors import JobError, StoreError
from telefold.schemas.leases import HELD_S, RENEWED_EVERY_S, Lease
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import ViewReader, ViewWriter, WriteResult

PARTITION = "telefold#job"
_SORT = "lease"

logger = logging.getLogger(__name__)


class LeaseRecord:
    """The record of the lease of one set of views. Raises StoreUnavailable and StoreRefused as its store does."""

    def __init__(self, reader: ViewReader, writer: ViewWriter) -> None:
        self._reader = reader
        self._writer = writer

    def load(self) -> Lease | None:
        """The lease as last stored; None if there never was one."""
        row = self._reader.get(PARTITION, _SORT)
        return msgspec.json.decode(str(row.data["lease"]), type=Lease) if row else None

    def keep(self, lease: Lease) -> bool:
        """Put `lease` in the place of one of a lower version; whether it is there now.

        Of two that are stored at once with one version the later is there, and the other's job finds that out when it
        renews it.
        """
        data = {"lease": msgspec.json.encode(lease).decode()}
        self._writer.write([ViewUpdate("lease", PARTITION, _SORT, lease.version, data)])
        found = self.load()
        return found is not None and found.owner == lease.owner

    def release(self, owner: str) -> None:
        """End the lease of `owner`, if it still holds it."""
        held = self.load()
        if held is not None and held.owner == owner:
            self.keep(msgspec.structs.replace(held, owner="", released=owner, version=held.version + 1))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class LeasedWriter:
    """A ViewWriter that renews its job's lease, and writes nothing more once another job has taken that over.

    Every task of the job has one. Each looks before it writes anything and every ten seconds, and renews what no other
    has renewed since. While the store is away the lease is not looked at, and nothing can be written either.
    """

    def __init__(
        self,
        writer: ViewWriter,
        record: LeaseRecord,
        lease: Lease,
        every_s: float = RENEWED_EVERY_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._record = record
        self._seen = lease
        self._clock = clock
        self._taken_by: Lease | None = None
        self._done = threading.Event()
        self._look_if_possible()
        self._thread = threading.Thread(target=self._keep_alive, args=(every_s,), name="lease", daemon=True)
        self._thread.start()

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Write to the views; raises JobError if another job holds the lease."""
        if self._taken_by is not None:
            raise JobError(
                f"The views were taken over by {self._taken_by.holder}, while this job did not renew its lease:"
                f" stop this one{self._seen.holder.how_to_stop}."
            )
        return self._writer.write(updates)

    def look(self) -> None:
        """Renew the lease unless it was renewed since the last look; see whether another job holds it.

        One that a job took over and released since is taken again. One that was released for this job, because it was
        stopped, is not: a Python that Flink has left behind must not hold it for ever.
        """
        held = self._record.load()
        if held is not None and not held.owner and held.released == self._seen.owner:
            return
        self._taken_by = held if held is not None and held.owner not in ("", self._seen.owner) else None
        if self._taken_by is not None:
            return
        if held is not None and held.owner and held.version > self._seen.version:
            self._seen = held
            return
        version = max(self._seen.version, held.version if held else 0) + 1
        now = round(self._clock() * 1_000)
        self._seen = msgspec.structs.replace(self._seen, version=version, renewed=now, held_s=HELD_S)
        self._record.keep(self._seen)

    def _look_if_possible(self) -> None:
        try:
            self.look()
        except StoreError as error:
            logger.warning("The lease on the views could not be renewed: %s", error)

    def _keep_alive(self, every_s: float) -> None:
        while not self._done.wait(every_s):
            try:
                self._look_if_possible()
            except Exception:
                logger.exception("The lease on the views could not be looked at; this is a fault of Telefold")

    def close(self) -> None:
        self._done.set()
        self._thread.join()
        self._writer.close()
        self._record.close()
