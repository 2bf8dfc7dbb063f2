"""Somebody who reads the views of a few devices all the time, as `telefold query` does."""

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Self

from telefold.jobs.settings import Settings
from telefold.jobs.stores import STORES, StoreName, open_reader
from telefold.schemas.errors import TelefoldError
from telefold.schemas.view_rows import device_partition


class Reader:
    """Reads all rows of `devices` from both stores, over and over, from the `with` on until its end.

    A row that it has seen once must be there ever after, whatever generation it reads.
    """

    def __init__(self, settings: Settings, devices: Sequence[str]) -> None:
        self._settings = settings
        self._partitions = [device_partition(device) for device in devices]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.problems: list[str] = []
        self.reads = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _read(self) -> None:
        seen: dict[tuple[str, str], set[str]] = {}
        while not self._done.is_set():
            for store in STORES:
                with closing(open_reader(self._settings, store)) as reader:
                    for partition in self._partitions:
                        try:
                            rows = {row.sort for row in reader.range(partition)}
                        except TelefoldError as error:
                            self.problems.append(f"{store}: {error}")
                            continue
                        self._note(store, partition, seen.setdefault((store, partition), set()), rows)
            time.sleep(0.2)

    def _note(self, store: StoreName, partition: str, seen: set[str], rows: set[str]) -> None:
        self.reads += 1
        self.problems += [f"{store}: {partition} {sort} is missing" for sort in seen - rows]
        seen |= rows
