"""Kinesis for one machine: moto's server, with shards whose cost does not grow with the records they hold.

moto scans a whole shard for each record put and each read, and numbers records without a lock, so two producers can
overwrite each other's records. It moves the records of shards that are split or merged to their children; in Kinesis
they stay where they are, a closed shard can be read to its end, and its children begin behind it. It takes the job's
times, which are in milliseconds, for seconds.

moto stores nothing. Here, with a file to store them in, streams and records are there again after the server was
killed.
"""

import argparse
import functools
import itertools
import logging
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from threading import RLock
from typing import Any

from moto import backends
from moto.kinesis.exceptions import InvalidArgumentError
from moto.kinesis.models import KinesisBackend, Record, Shard, Stream, kinesis_backends
from moto.kinesis.responses import KinesisResponse
from moto.kinesis.utils import decompose_shard_iterator
from moto.server import main

from telefold.deploy.local.kept import Kept, readable

_STREAMS = RLock()
_checked_shard_for_key = Stream.get_shard_for_key
_seconds_number_at = Shard.get_sequence_number_at
_MILLISECONDS_FROM = 1e11
_moving_split, _moving_merge = Stream.split_shard, Stream.merge_shards
_endless_get_records = KinesisBackend.get_records


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method`, but no shard is closed, written or read by another thread meanwhile."""

    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with _STREAMS:
            return method(*args, **kwargs)

    return locked


def _put_record(shard: Shard, partition_key: str, data: str, explicit_hash_key: str) -> str:
    number = _last_number(shard) + 1
    shard.records[number] = Record(partition_key, data, number, explicit_hash_key)
    return str(number)


def _shard_for_key(stream: Stream, partition_key: str, explicit_hash_key: str) -> Shard:
    _checked_shard_for_key(stream, partition_key, explicit_hash_key)
    hashed = md5(partition_key.encode(), usedforsecurity=False).digest()
    key = int(explicit_hash_key) if explicit_hash_key else int.from_bytes(hashed)
    return next(one for one in stream.shards.values() if one.is_open and one.starting_hash <= key <= one.ending_hash)


def _split_shard(stream: Stream, shard_to_split: str, new_starting_hash_key: str) -> None:
    with _records_kept(stream, shard_to_split):
        _moving_split(stream, shard_to_split, new_starting_hash_key)


def _merge_shards(stream: Stream, shard_to_merge: str, adjacent_shard_to_merge: str) -> None:
    parents = sorted((shard_to_merge, adjacent_shard_to_merge), key=lambda name: stream.shards[name].starting_hash)
    for name in parents:
        if not stream.shards[name].is_open:
            raise InvalidArgumentError(f"Shard {name} in stream {stream.stream_name} has already been merged or split.")
    with _records_kept(stream, *parents):
        _moving_merge(stream, *parents)


@contextmanager
def _records_kept(stream: Stream, *parents: str) -> Iterator[None]:
    """Meanwhile `parents` are empty, so that there is nothing to move; what shards are new begin behind them."""
    before, closing = set(stream.shards), [stream.shards[name] for name in parents]
    records = [shard.records for shard in closing]
    for shard in closing:
        shard.records = OrderedDict()
    try:
        yield
    finally:
        for shard, kept in zip(closing, records, strict=True):
            shard.records = kept
    for name in stream.shards.keys() - before:
        stream.shards[name].behind = max(map(_last_number, closing))  # type: ignore[attr-defined]
    stream.shard_count = sum(shard.is_open for shard in stream.shards.values())


def _behind(shard: Shard) -> int:
    """The greatest number of its parents, which is less than all of its own."""
    return getattr(shard, "behind", 0)


def _first_number(shard: Shard) -> int:
    return next(iter(shard.records), _behind(shard) + 1)


def _last_number(shard: Shard) -> int:
    return next(reversed(shard.records), _behind(shard))


def _get_records(shard: Shard, last_sequence_id: str, limit: int | None) -> tuple[list[Any], int, int]:
    """The records after `last_sequence_id`, the number of the last one, and how far (ms) it is behind the newest."""
    last, newest = int(last_sequence_id), _last_number(shard)
    numbers = range(max(last + 1, _first_number(shard)), newest + 1)
    records = list(itertools.islice((shard.records[n] for n in numbers if n in shard.records), limit))
    if not records:
        return [], last, 0
    behind = shard.records[newest].created_at - records[-1].created_at
    return records, records[-1].sequence_number, int(behind * 1000)


def _get_records_to_the_end(
    backend: KinesisBackend, stream_arn: str | None, shard_iterator: str, limit: int | None
) -> tuple[str | None, list[Record], int]:
    """A closed shard that has nothing more has no next iterator either."""
    iterator, records, behind = _endless_get_records(backend, stream_arn, shard_iterator, limit)
    stream, name, _ = decompose_shard_iterator(iterator)
    shard = backend.describe_stream(stream_arn, stream).get_shard(name)
    is_read = not records or records[-1].sequence_number == _last_number(shard)
    return (None if is_read and not shard.is_open else iterator), records, behind


def _number_at(shard: Shard, at_timestamp: float) -> int:
    """The last record before a time in epoch seconds, or milliseconds as AWS's SDK for Java sends them in JSON."""
    seconds = at_timestamp / 1000 if at_timestamp >= _MILLISECONDS_FROM else at_timestamp
    return int(_seconds_number_at(shard, seconds))


_REPLACEMENTS: dict[type, dict[str, Callable[..., Any]]] = {
    Shard: {
        "put_record": _put_record,
        "get_records": _get_records,
        "get_min_sequence_number": _first_number,
        "get_max_sequence_number": _last_number,
        "get_sequence_number_at": _number_at,
    },
    Stream: {
        "get_shard_for_key": _shard_for_key,
        "put_record": _alone(Stream.put_record),
        "split_shard": _alone(_split_shard),
        "merge_shards": _alone(_merge_shards),
        "update_shard_count": _alone(Stream.update_shard_count),
    },
    KinesisBackend: {"get_records": _alone(_get_records_to_the_end)},
}


def _list_services_once() -> None:
    """moto reads its own folder from disk for each request, to learn which services there are."""
    services = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = functools.partial(list, services)


def _patch() -> None:
    for kind, methods in _REPLACEMENTS.items():
        for name, method in methods.items():
            setattr(kind, name, method)


class _Streams:
    """The streams and their records, stored in a file as they change."""

    _LEAVE_STREAMS_AS_THEY_ARE = ("Put", "Get", "List", "Describe")

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._put_record, self._call_action = Stream.put_record, KinesisResponse.call_action
        self._restore()
        Shard.__getstate__ = _without_records  # type: ignore[method-assign, assignment]
        Stream.put_record = lambda stream, *record: self._put(stream, *record)  # type: ignore[method-assign]
        KinesisResponse.call_action = lambda request: self._answer(request)  # type: ignore[method-assign, assignment]

    def _put(self, stream: Stream, *record: str) -> tuple[str, str]:
        with _STREAMS:
            number, name = self._put_record(stream, *record)
            put = stream.shards[name].records[int(number)]
            self._kept.put(_place(stream, name), int(number), pickle.dumps(put))
        return number, name

    def _answer(self, request: Any) -> Any:
        answer = self._call_action(request)
        if not request._get_action().startswith(self._LEAVE_STREAMS_AS_THEY_ARE):
            with _STREAMS:
                self._keep_streams()
        return answer

    def _keep_streams(self) -> None:
        backends = [backend for regions in kinesis_backends.values() for backend in regions.values()]
        streams = [stream for backend in backends for stream in backend.streams.values()]
        self._kept.put_document(pickle.dumps(streams))
        for place in set(self._kept.places()) - {_place(stream, name) for stream in streams for name in stream.shards}:
            self._kept.forget(place)

    def _restore(self) -> None:
        for stream in pickle.loads(self._kept.document() or pickle.dumps([])):
            kinesis_backends[stream.account_id][stream.region].streams[stream.stream_name] = stream
            for name, shard in stream.shards.items():
                records = map(pickle.loads, self._kept.values(_place(stream, name)))
                shard.records = OrderedDict((record.sequence_number, record) for record in records)


def _place(stream: Stream, shard: str) -> str:
    return f"{stream.arn}/{shard}"


def _without_records(shard: Shard) -> dict[str, Any]:
    return {**vars(shard), "records": OrderedDict()}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-k", "--keep", type=Path, help="The file that keeps streams and records.")
    chosen, rest = arguments.parse_known_args()
    _patch()
    _list_services_once()
    if chosen.keep:
        with readable(chosen.keep):
            _Streams(Kept(chosen.keep))
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    main(rest)
