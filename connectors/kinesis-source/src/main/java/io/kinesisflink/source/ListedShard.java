package io.kinesisflink.source;

import java.util.List;
import java.util.stream.Stream;
import software.amazon.awssdk.services.kinesis.model.Shard;

/** A shard as a listing shows it: its parents are one after a split and two after a merge. */
record ListedShard(String id, List<String> parents, String firstHashKey, String lastHashKey) {

    static ListedShard of(Shard shard) {
        List<String> parents = Stream.of(shard.parentShardId(), shard.adjacentParentShardId())
                .filter(parent -> parent != null && !parent.isEmpty())
                .toList();
        boolean hasRange = shard.hashKeyRange() != null;
        return new ListedShard(
                shard.shardId(),
                parents,
                hasRange ? shard.hashKeyRange().startingHashKey() : "",
                hasRange ? shard.hashKeyRange().endingHashKey() : "");
    }
}
