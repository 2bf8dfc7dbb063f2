"""The shards of a stream, split and merged while records come and go."""

from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from telefold.connectors import aws
from telefold.jobs.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef

T = TypeVar("T")


def split_one(settings: Settings, pick: float) -> str:
    """Split one of the open shards of the events' stream, the one at `pick` (0 to 1) of them, in the middle."""
    with closing(_client(settings)) as kinesis:
        shard = _picked(_open(kinesis, settings.source.name), pick)
        middle = (_range(shard)[0] + _range(shard)[1] + 1) // 2
        kinesis.split_shard(
            StreamName=settings.source.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle)
        )
    return shard["ShardId"]


def merge_two(settings: Settings, pick: float) -> tuple[str, str] | None:
    """Merge two neighbours among the open shards of the events' stream; None where there is only one."""
    with closing(_client(settings)) as kinesis:
        neighbours = list(pairwise(_open(kinesis, settings.source.name)))
        if not neighbours:
            return None
        low, high = (shard["ShardId"] for shard in _picked(neighbours, pick))
        kinesis.merge_shards(StreamName=settings.source.name, ShardToMerge=low, AdjacentShardToMerge=high)
    return low, high


def open_shards(settings: Settings) -> int:
    with closing(_client(settings)) as kinesis:
        return len(_open(kinesis, settings.source.name))


def _client(settings: Settings) -> "KinesisClient":
    return aws.client("kinesis", settings.source.region, settings.source.endpoint)


def _open(kinesis: "KinesisClient", stream: str) -> "list[ShardTypeDef]":
    """Together they hold all keys, so those that follow each other here are neighbours."""
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    return sorted((one for one in shards if "EndingSequenceNumber" not in one["SequenceNumberRange"]), key=_range)


def _range(shard: "ShardTypeDef") -> tuple[int, int]:
    keys = shard["HashKeyRange"]
    return int(keys["StartingHashKey"]), int(keys["EndingHashKey"])


def _picked(choices: Sequence[T], pick: float) -> T:
    return choices[int(pick * len(choices))]
