"""A file for what a server of the local stack holds, so that a server that was killed goes on with it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Kept:
    """One document, and values by place and key. What was put is there after the process was killed at any time; a
    machine that loses its power may lose the last of it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
            "CREATE TABLE IF NOT EXISTS held(place TEXT, key, value BLOB, PRIMARY KEY (place, key));"
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """A transaction: puts and removals within the block are there at its end, or none; by one thread at a time."""
        self._file.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    def put(self, place: str, key: str | int, value: bytes) -> None:
        self._file.execute("INSERT OR REPLACE INTO held VALUES (?, ?, ?)", (place, key, value))

    def remove(self, place: str, key: str | int) -> None:
        self._file.execute("DELETE FROM held WHERE place = ? AND key = ?", (place, key))

    def forget(self, place: str) -> None:
        self._file.execute("DELETE FROM held WHERE place = ?", (place,))

    def places(self) -> list[str]:
        return [place for (place,) in self._file.execute("SELECT DISTINCT place FROM held WHERE place <> ''")]

    def values(self, place: str) -> Iterator[bytes]:
        """The values at a place, in the order of their keys."""
        return (
            value for (value,) in self._file.execute("SELECT value FROM held WHERE place = ? ORDER BY key", (place,))
        )

    def put_document(self, document: bytes) -> None:
        self.put("", "", document)

    def document(self) -> bytes | None:
        return next(self.values(""), None)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """End the process, saying what to do, where what is stored at `path` cannot be taken up within the block."""
    try:
        yield
    except Exception as error:
        advice = "remove all that the stack keeps with `telefold local down --delete`"
        raise SystemExit(f"What is kept in {path} cannot be read ({error}): {advice}.") from error
