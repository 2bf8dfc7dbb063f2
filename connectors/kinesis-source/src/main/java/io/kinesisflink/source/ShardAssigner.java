package io.kinesisflink.source;

import java.io.Serializable;

/** Says which subtask reads a shard. */
@FunctionalInterface
public interface ShardAssigner extends Serializable {

    /** The default: the same shard is read by the same subtask wherever the parallelism is the same. */
    ShardAssigner BY_HASH = (shardId, parallelism) -> Math.floorMod(shardId.hashCode(), parallelism);

    /**
     * The subtask that is to read a shard, from 0 to {@code parallelism - 1}. It has to depend on nothing but its
     * arguments: it is asked again for what was asked before, and what it says must be the same.
     */
    int subtaskOf(String shardId, int parallelism);
}
