"""Bytewax in the fastest form we found, recovery on: a process a core, records exchanged by device, state per device.

Each process reads its share of the archive's shards; the state of every device that changed goes into SQLite as often
as Telefold checkpoints. Events decoded in front of the exchange cost a fifth more CPU (they pickle worse than records),
batches of 1 000 records a tenth; an item a record instead of one a device and batch, or state that Bytewax pickles
itself, a few per cent; batches of 20 000 records, or rows handed on one by one, made no difference. Two worker threads
in one process share its GIL, and were no faster than one.
"""

import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, MutableSequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from multiprocessing.synchronize import Barrier, Semaphore
from pathlib import Path

import msgspec
from bytewax import operators
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from bench.peers.fold import Device
from bench.peers.work import SETTINGS, Clock, KeptViews, Timing, Work
from telefold.connectors.archive import Archive
from telefold.deploy.local.servers import free_port
from telefold.schemas.codec import decode
from telefold.schemas.view_rows import ViewUpdate

Records = list[tuple[bytes, int]]
"""Of one device: the event as it was sent, and its time of arrival in epoch milliseconds."""

_PROCESSES = 2
_RECORDS_A_BATCH = 5_000
_FLUSH = timedelta(milliseconds=SETTINGS.job.flush_interval_ms)
_SNAPSHOT = timedelta(milliseconds=SETTINGS.job.checkpoint_interval_ms)
_LOOK_EVERY_S = 0.2
_PATIENCE_S = 60.0
_APART_S = 0.2
"""Between the starts of processes: one whose elders do not listen yet tries again after a whole second."""


def run(work: Work) -> Timing:
    """Time the cluster from when its processes have imported everything until their rows are in files."""
    init_db_dir(_recovery_folder(work), _PROCESSES)
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(_PROCESSES)]
    spawning = multiprocessing.get_context("spawn")
    folded = spawning.RawArray("q", _PROCESSES)
    start, ended = spawning.Barrier(_PROCESSES + 1, timeout=_PATIENCE_S), spawning.Semaphore(0)
    processes = [
        spawning.Process(target=_work, args=(work, addresses, number, folded, start, ended), daemon=True)
        for number in range(_PROCESSES)
    ]
    for process in processes:
        process.start()
    start.wait()
    clock = Clock(work.inputs.events)
    for _ in processes:
        while not ended.acquire(timeout=_LOOK_EVERY_S):
            if any(process.exitcode for process in processes):
                raise SystemExit("A process of the Bytewax cluster failed.")
            if (done := sum(folded)) >= clock.half:
                clock.passed(done)
    return clock.timing()


def _work(
    work: Work, addresses: list[str], number: int, folded: MutableSequence[int], start: Barrier, ended: Semaphore
) -> None:
    """Be process `number` of the cluster, and keep `folded` at the number of records that it has folded."""

    def count(records: int) -> None:
        folded[number] += records

    flow, recovery = _flow(work, count), RecoveryConfig(_recovery_folder(work), timedelta())
    start.wait()
    time.sleep(_APART_S * number)
    cluster_main(flow, addresses, number, epoch_interval=_SNAPSHOT, recovery_config=recovery)
    ended.release()


def _recovery_folder(work: Work) -> Path:
    folder = Path(work.scratch, "recovery")
    folder.mkdir(exist_ok=True)
    return folder


def _flow(work: Work, count: Callable[[int], None]) -> Dataflow:
    """`count` is told how many records have been folded, batch by batch."""
    flow = Dataflow("telemetry")
    records = operators.input("archive", flow, _Archive(work.inputs.archive))
    rows = operators.stateful_batch("fold", records, partial(_Fold, count))
    operators.output("views", rows, _Views(str(work.rows)))
    return flow


class _Archive(FixedPartitionedSource):
    """A partition is a shard; an item is a device's records of a batch."""

    def __init__(self, path: str) -> None:
        self._archive = Archive(path)

    def list_parts(self) -> list[str]:
        return sorted({file.shard for file in self._archive.files()})

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "_Shard":
        return _Shard(self._archive, for_part, resume_state or 0)


class _Shard(StatefulSourcePartition):
    def __init__(self, archive: Archive, shard: str, read: int) -> None:
        self._records = islice(archive.read(shards=[shard]), read, None)
        self._read = read

    def next_batch(self) -> list[tuple[str, Records]]:
        batch = list(islice(self._records, _RECORDS_A_BATCH))
        if not batch:
            raise StopIteration
        self._read += len(batch)
        by_device: defaultdict[str, Records] = defaultdict(list)
        for record in batch:
            by_device[record.partition_key].append((record.data, record.arrival))
        return list(by_device.items())

    def snapshot(self) -> int:
        return self._read


class _Fold(StatefulBatchLogic):
    """Of one device. Emits the rows that changed, all at once, a flush interval after the first of them did."""

    def __init__(self, count: Callable[[int], None], snapshot: bytes | None) -> None:
        self._count = count
        self._device = msgspec.msgpack.decode(snapshot, type=Device) if snapshot else None
        self._due = _after_a_flush_interval() if snapshot else None

    def on_batch(self, values: list[Records]) -> tuple[Iterable[list[ViewUpdate]], bool]:
        for records in values:
            for data, arrival in records:
                event = decode(data, arrival)
                if self._device is None:
                    self._device = Device.named(event.device_id)
                self._device.add(event)
            self._count(len(records))
        if self._due is None:
            self._due = _after_a_flush_interval()
        return (), StatefulBatchLogic.RETAIN

    def on_notify(self) -> tuple[Iterable[list[ViewUpdate]], bool]:
        self._due = None
        rows = list(self._device.changes()) if self._device else []
        return (rows,), StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[Iterable[list[ViewUpdate]], bool]:
        return self.on_notify()

    def notify_at(self) -> datetime | None:
        return self._due

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._device)


def _after_a_flush_interval() -> datetime:
    return datetime.now(UTC) + _FLUSH


class _Views(DynamicSink):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "_Writer":
        return _Writer(self._folder)


class _Writer(StatelessSinkPartition):
    def __init__(self, folder: str) -> None:
        self._views = KeptViews(folder)

    def write_batch(self, items: list[tuple[str, list[ViewUpdate]]]) -> None:
        self._views.write([row for _, rows in items for row in rows])

    def close(self) -> None:
        self._views.close()
