package io.kinesisflink.source;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;

/** Keeps what a reader emits. Fails where a record comes behind the watermark of its reader, or one goes back. */
final class ModelOutput implements ReaderOutput<KinesisRecord> {

    final List<KinesisRecord> records = new ArrayList<>();
    final List<Long> stamps = new ArrayList<>();
    final Set<String> released = new TreeSet<>();
    long watermark = Long.MIN_VALUE;
    boolean wasIdle;

    private final Map<String, SourceOutput<KinesisRecord>> splits = new HashMap<>();

    @Override
    public void collect(KinesisRecord record) {
        throw new AssertionError("Without a timestamp: " + record);
    }

    @Override
    public void collect(KinesisRecord record, long timestamp) {
        throw new AssertionError("Not to the output of its split: " + record);
    }

    @Override
    public void emitWatermark(Watermark mark) {
        if (mark.getTimestamp() <= watermark) {
            throw new AssertionError("Goes back from " + watermark + " to " + mark);
        }
        watermark = mark.getTimestamp();
    }

    @Override
    public void markIdle() {
        wasIdle = true;
    }

    @Override
    public void markActive() {}

    @Override
    public SourceOutput<KinesisRecord> createOutputForSplit(String split) {
        return splits.computeIfAbsent(split, OfSplit::new);
    }

    @Override
    public void releaseOutputForSplit(String split) {
        splits.remove(split);
        released.add(split);
    }

    private final class OfSplit implements SourceOutput<KinesisRecord> {

        private final String split;

        private OfSplit(String split) {
            this.split = split;
        }

        @Override
        public void collect(KinesisRecord record) {
            throw new AssertionError("Without a timestamp: " + record);
        }

        @Override
        public void collect(KinesisRecord record, long timestamp) {
            if (!record.shardId().equals(split)) {
                throw new AssertionError("To the output of another split: " + record);
            }
            if (timestamp <= watermark) {
                throw new AssertionError("Behind the watermark " + watermark + ": " + record);
            }
            records.add(record);
            stamps.add(timestamp);
        }

        @Override
        public void emitWatermark(Watermark mark) {
            throw new AssertionError("A watermark of a split");
        }

        @Override
        public void markIdle() {
            wasIdle = true;
        }

        @Override
        public void markActive() {}
    }
}
