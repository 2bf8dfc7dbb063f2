package io.kinesisflink.source;

import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;

/**
 * What the enumerator tells a subtask of a listing.
 *
 * @param listedAtMs when the listing began, in epoch milliseconds
 * @param waiting how many shards the subtask is to read that it has not got
 * @param closed of the shards that it reads, those that have children
 * @param succeeded of the shards that it has read, those whose children are being read
 */
record ShardNews(long listedAtMs, int waiting, Set<String> closed, Set<String> succeeded) implements SourceEvent {

    boolean saysTheSameOfShards(ShardNews other) {
        return other != null
                && waiting == other.waiting
                && closed.equals(other.closed)
                && succeeded.equals(other.succeeded);
    }
}
