package io.kinesisflink.source;

import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What the enumerator knows over a restart. Of each shard that was begun a checkpoint has the position once: here, among
 * {@code pending}, or in the state of a subtask.
 *
 * @param beginning where shards without a position begin; null before it is known what LATEST was
 * @param wasListed whether the shards have been listed once
 * @param started the shards that were released for reading and have not ended for good
 * @param ended the shards that have ended for good: nothing will read them again
 * @param pending of those that were started, the ones that no subtask has
 * @param given starting positions of shards that have not been started
 */
public record EnumeratorState(
        ShardPosition beginning,
        boolean wasListed,
        Set<String> started,
        Set<String> ended,
        List<ShardSplit> pending,
        Map<String, ShardPosition> given) {}
