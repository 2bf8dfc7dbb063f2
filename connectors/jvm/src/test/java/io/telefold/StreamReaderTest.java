package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.functions.source.SourceFunction.SourceContext;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class StreamReaderTest {

    private final Told told = new Told();
    private boolean waits;
    private final SourceContext<Row> context = StreamReader.forwards(told, () -> waits);

    @Test
    void timeNeverGoesBack() {
        for (long time : new long[] {10, 30, 20, 30, 31}) {
            context.emitWatermark(new Watermark(time));
        }
        assertThat(told.all).containsExactly("10", "30", "31");
    }

    @Test
    void afterTheEndOfTheSourceItsTimerChangesNothing() {
        context.emitWatermark(new Watermark(10));
        context.markAsTemporarilyIdle();
        context.close();
        context.emitWatermark(new Watermark(20));
        context.markAsTemporarilyIdle();
        assertThat(told.all).containsExactly("10", "idle", "closed");
    }

    @Test
    void whileItWaitsForAShardItIsNotIdle() {
        waits = true;
        context.markAsTemporarilyIdle();
        assertThat(told.all).isEmpty();
        waits = false;
        context.markAsTemporarilyIdle();
        assertThat(told.all).containsExactly("idle");
    }

    /** What Flink's own context is told; once closed, that one fails. */
    private static final class Told implements SourceContext<Row> {

        final List<String> all = new ArrayList<>();

        @Override
        public void collect(Row row) {
            all.add("row");
        }

        @Override
        public void collectWithTimestamp(Row row, long timestamp) {
            all.add("row");
        }

        @Override
        public void emitWatermark(Watermark mark) {
            all.add(String.valueOf(mark.getTimestamp()));
        }

        @Override
        public void markAsTemporarilyIdle() {
            all.add("idle");
        }

        @Override
        public Object getCheckpointLock() {
            return this;
        }

        @Override
        public void close() {
            all.add("closed");
        }
    }
}
