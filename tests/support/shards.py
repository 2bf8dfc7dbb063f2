"""The shards of a stream, split and merged while records come and go."""

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any

from connectors import aws
from jobs.settings import Settings


def split_one(settings: Settings, pick: float) -> str:
    """Split one of the open shards of the events' stream, the one at `pick` (0 to 1) of them, in the middle."""
    with closing(_client(settings)) as kinesis:
        shard = _picked(_open(kinesis, settings.source.name), pick)
        middle = (_range(shard)[0] + _range(shard)[1] + 1) // 2
        kinesis.split_shard(
            StreamName=settings.source.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
        )
    return str(shard["ShardId"])


def merge_two(settings: Settings, pick: float) -> tuple[str, str] | None:
    """Merge two neighbours among the open shards of the events' stream; None where there is only one."""
    with closing(_client(settings)) as kinesis:
        neighbours = list(pairwise(_open(kinesis, settings.source.name)))
        if not neighbours:
            return None
        low, high = (str(shard["ShardId"]) for shard in _picked(neighbours, pick))
        kinesis.merge_shards(StreamName=settings.source.name, ShardToMerge=low, AdjacentShardToMerge=high)
    return low, high


def open_shards(settings: Settings) -> int:
    with closing(_client(settings)) as kinesis:
        return len(_open(kinesis, settings.source.name))


def _client(settings: Settings) -> Any:
    return aws.client("kinesis", settings.source.region, settings.source.endpoint)


def _open(kinesis: Any, stream: str) -> list[Any]:
    """Together they hold all keys, so those that follow each other here are neighbours."""
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    return sorted((one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]), key=_range)


def _range(shard: Any) -> tuple[int, int]:
    keys = shard["HashKeyRange"]
    return int(keys["StartingHashKey"]), int(keys["EndingHashKey"])


def _picked(choices: Sequence[Any], pick: float) -> Any:
    return choices[int(pick * len(choices))]
