"""Views in Redis, or Valkey: the fast copy, which can be lost and rebuilt.

An item is the HASH `tf:{<pk>}:<sk>` with `v` (version), `d` (data as JSON, or the bytes of the rows packed into it) and
`e` (expires_at); the ZSET `tf:{<pk>}` holds the sort keys of a partition, and a channel of that name gets a JSON list
of those of the rows that were written. Expiry is the server's own. The string `tf:generation` is the number of the
current generation of views, and `tf:whole` says since when all that is hot is here, in epoch seconds: where it is not,
Redis was emptied, and whoever holds `tf:filling` fills it again.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from itertools import islice
from typing import Any, NamedTuple

import certifi
import orjson
import redis.exceptions as vendor
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from telefold.connectors.redis_errors import translated
from telefold.connectors.redis_scripts import DROP_EXPIRED, WRITE_PARTITION, Script
from telefold.connectors.view_rows import batches, sift
from telefold.connectors.view_writer import NoRoom
from telefold.schemas.errors import StoreError, StoreFull, StoreRefused
from telefold.schemas.generations import FIRST, generation_of, generation_partition, generation_prefix
from telefold.schemas.hot_rows import ALL, Hot
from telefold.schemas.intervals import Interval, interval
from telefold.schemas.view_rows import PackedItem, ViewRow, ViewUpdate
from telefold.schemas.view_stores import WriteResult

POINTER = "tf:generation"
WHOLE = "tf:whole"
FILLING = "tf:filling"
_KEEPS_ALL = "noeviction"

_FILLED_WITHIN_S = 7 * 86_400
_ROWS_A_SCRIPT = 500
_SCRIPTS_A_TRIP = 200
_ROWS_A_PAGE = 500
_KEYS_A_SCAN = 1_000
_QUICK_S = 2.5
_PATIENT_S = 20.0


class RedisConnection(NamedTuple):
    """Two connections to one server: one notices that it is silent, the other gives it more time."""

    quick: Redis
    patient: Redis


def connect(url: str, password: str | None = None) -> RedisConnection:
    """Connections that are made when they are first used; `password` serves a URL that has none."""
    return RedisConnection(_redis_at(url, password, _QUICK_S), _redis_at(url, password, _PATIENT_S))


class RedisViews:
    """What readers and writers share; it owns `connection`.

    A broken connection is opened anew once; more patience is the caller's. A server that answers nothing is given up
    on within seconds, so that it is noticed. The attempt after that gives it more time: one that is slow, and alive,
    is not asked in vain for ever.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._quick, self._patient = connection
        self._client = self._quick

    def check(self) -> None:
        """Raise StoreRefused or StoreUnavailable, saying what to do, unless the server lets us in."""
        self._send([("EXISTS", "tf:{}")])

    def evicts_by(self) -> str | None:
        """The policy by which the server drops keys once its memory is full; None if it drops none, or does not say."""
        (info,) = self._send([("INFO", "memory")])
        told = info if isinstance(info, dict) else _parse_info(info)
        policy = str(told.get("maxmemory_policy", _KEEPS_ALL))
        return None if policy == _KEEPS_ALL or not int(told.get("maxmemory", 0)) else policy

    def close(self) -> None:
        self._quick.close()
        self._patient.close()

    def _run(self, calls: "Sequence[_Call]") -> list[Any]:
        """Run calls in one round trip, and one more for the scripts that the server has forgotten or never met.

        In the place of a reply there is StoreFull where the server had no room.
        """
        replies = self._send([("EVALSHA", call.script.sha, *call.arguments) for call in calls], may_be_full=True)
        unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        scripts = [("EVAL", calls[place].script.source, *calls[place].arguments) for place in unknown]
        again = self._send(scripts, may_be_full=True)
        for place, reply in zip(unknown, again, strict=True):
            replies[place] = reply
        return replies

    def _send(self, commands: Sequence[tuple[Any, ...]], may_be_full: bool = False) -> list[Any]:
        """The replies, among them NoScriptError, and StoreFull where it may be; other errors are raised."""
        try:
            replies = self._replies(commands)
        except RedisError as error:
            self._client = self._patient if isinstance(error, vendor.TimeoutError) else self._client
            raise translated(error) from error
        self._client = self._quick
        for place, (command, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, RedisError) and not isinstance(reply, NoScriptError):
                replies[place] = failure = translated(reply, _first_key(command))
                if not (may_be_full and isinstance(failure, StoreFull)):
                    raise failure from reply
        return replies

    def _replies(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute(raise_on_error=False)


def _trust(url: str) -> dict[str, str]:
    """Authorities to trust with TLS besides those that the machine trusts: a container may have none at all.

    A `ssl_ca_certs` in the URL takes its place.
    """
    return {"ssl_ca_certs": certifi.where()} if url.startswith("rediss://") else {}


class _Call(NamedTuple):
    script: Script
    arguments: Sequence[Any]


class RedisWriter(RedisViews):
    """A ViewWriter. One script call writes up to 500 rows of a partition in one step; calls go in few round trips.

    Rows that are not `hot` are not written, and no others stay longer than they are; `clock` returns epoch seconds.
    """

    def __init__(
        self,
        connection: RedisConnection,
        generation: int = FIRST,
        hot: Hot = ALL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connection)
        self._prefix = generation_prefix(generation)
        self._hot = hot
        self._clock = clock

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Count rows that are not hot as written: there is nothing to be done for them."""
        sifted, refused = sift(updates)
        now = self._clock()
        rows = [row for row in sifted if self._hot.holds(row.sort, now)]
        grouped = list(_by_partition(rows))
        calls = [_write_call(self._prefix + partition, some, self._hot) for partition, some in grouped]
        replies = [reply for trip in batches(calls, _SCRIPTS_A_TRIP) for reply in self._run(trip)]
        full = [reply for reply in replies if isinstance(reply, StoreFull)]
        no_room = [
            row
            for (_, some), reply in zip(grouped, replies, strict=True)
            if isinstance(reply, StoreFull)
            for row in some
        ]
        written = sum(reply for reply in replies if not isinstance(reply, StoreFull))
        stale = len(rows) - written - len(no_room)
        result = WriteResult(written + len(sifted) - len(rows), stale, refused=tuple(refused))
        if full:
            raise NoRoom(str(full[0]), result, no_room)
        return result


class RedisReader(RedisViews):
    """A ViewReader of what RedisWriter wrote.

    Without a `generation` each call reads the current one, which costs it a further round trip.
    """

    def __init__(self, connection: RedisConnection, generation: int | None = None) -> None:
        super().__init__(connection)
        self._generation = generation

    def pinned(self) -> "RedisReader":
        reader = copy(self)
        reader._generation = self._current()
        return reader

    def get(self, partition: str, sort: str) -> ViewRow | None:
        return self._rows(self._stored(partition), [sort])[0]

    def pinned_if_whole(self) -> "tuple[RedisReader, int] | None":
        """A reader of the current generation, and its number; None if Redis was emptied, and is not filled again."""
        pointer, whole = self._send([("GET", POINTER), ("GET", WHOLE)])
        if whole is None:
            return None
        reader, generation = copy(self), _pointed_to(pointer)
        reader._generation = generation
        return reader, generation

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        asked = interval(prefix, start, end)
        if asked.is_empty or limit == 0:
            return []
        page = min(limit or _ROWS_A_PAGE, _ROWS_A_PAGE)
        return list(islice(self._pages(self._stored(partition), asked, page, newest_first), limit))

    def partitions(self, generation: int) -> Iterator[str]:
        """Every partition of a generation that has an index of its rows; one may come more than once."""
        prefix, cursor = generation_prefix(generation), 0
        while True:
            scan = ("SCAN", cursor, "MATCH", "tf:{*}", "COUNT", _KEYS_A_SCAN, "TYPE", "zset")
            cursor, keys = self._send([scan])[0]
            for key in keys:
                if _generation_of(key) == generation:
                    yield key.decode().removeprefix("tf:{" + prefix).removesuffix("}")
            if cursor == 0:
                return

    def _stored(self, partition: str) -> str:
        """`partition` in the generation to be read."""
        return generation_partition(self._current(), partition)

    def _current(self) -> int:
        return _pointed_to(self._send([("GET", POINTER)])[0]) if self._generation is None else self._generation

    def _pages(self, partition: str, asked: Interval, size: int, newest_first: bool) -> Iterator[ViewRow]:
        """Rows, page by page: each begins after the last key of the one before, as rows come and go in between."""
        low, high = b"[" + asked.low.encode(), b"+" if asked.high is None else b"(" + asked.high.encode()
        while True:
            command = ("ZREVRANGEBYLEX", high, low) if newest_first else ("ZRANGEBYLEX", low, high)
            sorts = self._sorts(partition, command, size)
            yield from self._present_rows(partition, sorts)
            if len(sorts) < size:
                return
            last = b"(" + sorts[-1].encode()
            low, high = (low, last) if newest_first else (last, high)

    def _sorts(self, partition: str, command: tuple[str, bytes, bytes], size: int) -> list[str]:
        name, first, last = command
        reply = self._send([(name, index_of(partition), first, last, "LIMIT", 0, size)])[0]
        return [sort.decode() for sort in reply]

    def _present_rows(self, partition: str, sorts: Sequence[str]) -> Iterator[ViewRow]:
        rows = self._rows(partition, sorts)
        expired = [sort for sort, row in zip(sorts, rows, strict=True) if row is None]
        if expired:
            with suppress(StoreError):  # a read-only replica or user may not tidy up
                self._run([_Call(DROP_EXPIRED, [1, index_of(partition), *expired])])
        return (row for row in rows if row is not None)

    def _rows(self, partition: str, sorts: Sequence[str]) -> list[ViewRow | None]:
        replies = self._send([("HMGET", _key(partition, sort), "v", "d", "e") for sort in sorts])
        return [_row(sort, *fields) for sort, fields in zip(sorts, replies, strict=True)]


class RedisChannel(RedisViews):
    def publish(self, channel: str, messages: Sequence[bytes]) -> None:
        """Publish to whoever listens now. Raises as the views' writer does."""
        self._send([("PUBLISH", channel, message) for message in messages])


class RedisMarker(RedisViews):
    """The mark that Redis has all that is hot, which goes with everything else when it is emptied.

    `clock` returns epoch seconds.
    """

    def __init__(self, connection: RedisConnection, clock: Callable[[], float] = time.time) -> None:
        super().__init__(connection)
        self._clock = clock

    def whole_since(self) -> float | None:
        """The time at which Redis was filled, in epoch seconds; None if it was emptied since, or never filled."""
        (since,) = self._send([("GET", WHOLE)])
        return None if since is None else float(since)

    def begin(self, owner: str) -> None:
        """`owner` begins to fill Redis."""
        self._send([("SET", f"{FILLING}:{owner}", 1, "EX", _FILLED_WITHIN_S)])

    def set_whole(self, owner: str) -> bool:
        """Mark Redis as filled by `owner`; False if it was emptied again since that began."""
        (was_there,) = self._send([("DEL", f"{FILLING}:{owner}")])
        if was_there:
            self._send([("SET", WHOLE, f"{self._clock():.3f}")])
        return bool(was_there)

    def claim(self, owner: str, for_s: int) -> bool:
        """Whether nobody else is filling Redis, and `owner` may for so long; again while it does."""
        taken, held = self._send([("SET", FILLING, owner, "NX", "EX", for_s), ("GET", FILLING)])
        if held != owner.encode():
            return False
        if not taken:
            self._send([("EXPIRE", FILLING, for_s)])
        return True

    def release(self, owner: str) -> None:
        """End the claim of `owner`, if it still has it."""
        (held,) = self._send([("GET", FILLING)])
        if held == owner.encode():
            self._send([("DEL", FILLING)])


class RedisGenerations(RedisViews):
    """A writer for whole generations in Redis: it points to one, and drops another."""

    def point_to(self, generation: int) -> None:
        """Readers follow from their next call on; a channel named like the pointer's key gets a number that is new."""
        (before,) = self._send([("SET", POINTER, generation, "GET")])
        if before != str(generation).encode():
            self._send([("PUBLISH", POINTER, generation)])

    def drop(self, generation: int) -> None:
        """Delete every row of a generation, and the indexes of its partitions."""
        pattern = index_of(generation_prefix(generation) + "*").removesuffix("}")
        cursor = 0
        while True:
            cursor, keys = self._send([("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_A_SCAN)])[0]
            self._send([("UNLINK", key) for key in keys if _generation_of(key) == generation])
            if cursor == 0:
                return


def _redis_at(url: str, password: str | None, timeout_s: float) -> Redis:
    options = _trust(url) | ({} if password is None else {"password": password})
    retry = Retry(NoBackoff(), 1, supported_errors=(vendor.ConnectionError,))
    return Redis.from_url(url, protocol=2, socket_connect_timeout=2, socket_timeout=timeout_s, retry=retry, **options)


def _parse_info(text: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def _generation_of(key: bytes) -> int:
    return generation_of(key.decode(errors="replace").removeprefix("tf:{"))


def _pointed_to(pointer: bytes | None) -> int:
    """The current generation; without a pointer it is the first."""
    if pointer is None:
        return FIRST
    if not pointer.isdigit():
        raise StoreRefused(
            f"Redis holds something else under {POINTER}: name a database of its own in telefold.views/redis.url."
        )
    return int(pointer)


def index_of(partition: str) -> str:
    return f"tf:{{{partition}}}"


def _first_key(command: Sequence[Any]) -> str:
    """The key that says which node of a cluster is to run the command: of a script, the index of its partition."""
    return str(command[3] if str(command[0]).startswith("EVAL") else command[1])


def _key(partition: str, sort: str) -> str:
    return f"tf:{{{partition}}}:{sort}"


def _by_partition(rows: Sequence[ViewUpdate]) -> Iterator[tuple[str, list[ViewUpdate]]]:
    grouped: defaultdict[str, list[ViewUpdate]] = defaultdict(list)
    for row in rows:
        grouped[row.partition].append(row)
    for partition, some in grouped.items():
        for batch in batches(some, _ROWS_A_SCRIPT):
            yield partition, batch


def _write_call(partition: str, rows: Sequence[ViewUpdate], hot: Hot) -> _Call:
    index = index_of(partition)
    keys = [f"{index}:{row.sort}" for row in rows]
    values: list[Any] = [random.getrandbits(30)]
    for row in rows:
        leaves_at = hot.expiry(row.sort, row.expires_at)
        values += (row.version, data_of(row), or_never(row.expires_at), or_never(leaves_at), names_of(row))
    return _Call(WRITE_PARTITION, [len(keys) + 1, index, *keys, *values])


def or_never(at: int | None) -> int | str:
    return "" if at is None else at


def data_of(row: ViewUpdate) -> bytes:
    return orjson.dumps(row.data, default=dict) if row.packed is None else row.packed


def names_of(row: ViewUpdate) -> bytes:
    """The sort keys that the channel is told of, as JSON; empty where it is the item's own."""
    return b"" if row.packed is None else orjson.dumps(row.changed)


def _row(sort: str, version: bytes | None, data: bytes, expires_at: bytes) -> ViewRow | None:
    if version is None:
        return None
    expiry = int(expires_at) if expires_at else None
    if data.startswith(b"{"):
        return ViewRow(sort, int(version), orjson.loads(data), expiry)
    return PackedItem(sort, int(version), expires_at=expiry, packed=data)
