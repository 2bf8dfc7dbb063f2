package io.telefold.source;

import io.kinesisflink.source.ShardPosition;
import io.kinesisflink.source.ShardSplit;
import io.telefold.event.SequenceOrder;
import org.apache.flink.api.connector.source.SourceSplit;

/** A shard and how far it was read, of the stream or of its archive. */
public sealed interface LogSplit extends SourceSplit {

    String shard();

    /** The position of the last record read, in the order of {@link SequenceOrder}; null if none was. */
    String reached();

    /** A shard of the stream. */
    record OfStream(ShardSplit split) implements LogSplit {

        @Override
        public String splitId() {
            return split.splitId();
        }

        @Override
        public String shard() {
            return split.shardId();
        }

        @Override
        public String reached() {
            return reached(split.position());
        }

        /** Null for a place to start at, which no record is before. */
        static String reached(ShardPosition position) {
            return position.isAfterRecord() || position.isEnd() ? position.toString() : null;
        }
    }

    /** The archive of a shard. */
    record OfArchive(String shard, String reached) implements LogSplit {

        @Override
        public String splitId() {
            return "archive of " + shard;
        }
    }
}
