"""Kinesis for one machine: moto's server, with shards whose cost does not grow with the records they hold.

moto scans a whole shard for each record put and each read, and numbers records without a lock, so two producers can
overwrite each other's records.
"""

import functools
import itertools
import logging
import sys
from threading import Lock
from typing import Any

from moto import backends
from moto.kinesis.models import Shard
from moto.server import main

_PUT = Lock()
_put_unlocked = Shard.put_record


def _put_record(shard: Shard, *args: Any, **kwargs: Any) -> str:
    with _PUT:
        return _put_unlocked(shard, *args, **kwargs)


def _first_number(shard: Shard) -> int:
    return next(iter(shard.records), 0)


def _last_number(shard: Shard) -> int:
    return next(reversed(shard.records), 0)


def _get_records(shard: Shard, last_sequence_id: str, limit: int | None) -> tuple[list[Any], int, int]:
    """The records after `last_sequence_id`, the number of the last one, and how far (ms) it is behind the newest."""
    last, newest = int(last_sequence_id), _last_number(shard)
    numbers = range(max(last + 1, _first_number(shard)), newest + 1)
    records = list(itertools.islice((shard.records[n] for n in numbers if n in shard.records), limit))
    if not records:
        return [], last, 0
    behind = shard.records[newest].created_at - records[-1].created_at
    return records, records[-1].sequence_number, int(behind * 1000)


_REPLACEMENTS = {
    "put_record": _put_record,
    "get_records": _get_records,
    "get_min_sequence_number": _first_number,
    "get_max_sequence_number": _last_number,
}


def _list_services_once() -> None:
    """moto reads its own folder from disk for each request, to learn which services there are."""
    services = list(backends.list_of_moto_modules())
    backends.list_of_moto_modules = functools.partial(list, services)


def _patch_shards() -> None:
    for name, method in _REPLACEMENTS.items():
        setattr(Shard, name, method)


if __name__ == "__main__":
    _patch_shards()
    _list_services_once()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    main(sys.argv[1:])
