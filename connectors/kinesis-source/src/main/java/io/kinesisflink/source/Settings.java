package io.kinesisflink.source;

import io.kinesisflink.client.StreamId;
import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How a source reads.
 *
 * @param stream the name of the stream, or its ARN
 * @param beginning where shards without a position of their own begin; null stands for LATEST
 * @param given starting positions by shard
 * @param consumer the name or ARN of the consumer of enhanced fan-out; null where shards are polled
 * @param registersConsumer whether a consumer is registered that the stream does not have
 * @param hasCheckpoints whether the job takes checkpoints, so that a shard waits for one that covers its parents' ends
 * @param emitsTimeOfLog whether the source emits watermarks by itself
 * @param assigner which subtask reads which shard
 * @param discoveryMs how often shards are listed, in milliseconds
 * @param pollMs the least time between two requests for records of a shard, in milliseconds
 * @param idleMs the greatest such time where a shard has nothing new, in milliseconds
 * @param maxRecords the most records of one request
 * @param bytesPerSecond how fast one shard is read at most
 * @param retentionMs the least time for which the stream keeps records, in milliseconds: what was read up to a later time
 *     than that has lost nothing
 */
record Settings(
        String stream,
        ShardPosition beginning,
        Map<String, ShardPosition> given,
        String consumer,
        boolean registersConsumer,
        boolean hasCheckpoints,
        boolean emitsTimeOfLog,
        ShardAssigner assigner,
        long discoveryMs,
        long pollMs,
        long idleMs,
        int maxRecords,
        long bytesPerSecond,
        long retentionMs)
        implements Serializable {

    Settings beginningAt(ShardPosition known) {
        return from(known, given);
    }

    Settings startingAt(Map<String, ShardPosition> positions) {
        return from(beginning == null ? ShardPosition.oldest() : beginning, new LinkedHashMap<>(positions));
    }

    private Settings from(ShardPosition place, Map<String, ShardPosition> positions) {
        return new Settings(
                stream,
                place,
                positions,
                consumer,
                registersConsumer,
                hasCheckpoints,
                emitsTimeOfLog,
                assigner,
                discoveryMs,
                pollMs,
                idleMs,
                maxRecords,
                bytesPerSecond,
                retentionMs);
    }

    boolean isFanOut() {
        return consumer != null;
    }

    boolean isArn() {
        return StreamId.isArn(stream);
    }

    /** The name as requests that do not know of ARNs take it; null for an ARN. */
    String streamName() {
        return StreamId.nameOf(stream);
    }

    String streamArn() {
        return StreamId.arnOf(stream);
    }
}
