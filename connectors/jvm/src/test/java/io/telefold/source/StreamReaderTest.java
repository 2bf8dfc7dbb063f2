package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.event.Event;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.functions.source.SourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.junit.jupiter.api.Test;

@SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
class StreamReaderTest {

    private final Told told = new Told();
    private final SourceFunction.SourceContext<Event> context = StreamReader.forwards(told);

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
        context.close();
        context.emitWatermark(new Watermark(20));
        assertThat(told.all).containsExactly("10", "closed");
    }

    @Test
    void itIsNeverIdle() {
        context.markAsTemporarilyIdle();
        assertThat(told.all).isEmpty();
    }

    /** What Flink's own context is told; once closed, that one fails. */
    private static final class Told implements SourceFunction.SourceContext<Event> {

        final List<String> all = new ArrayList<>();

        @Override
        public void collect(Event event) {
            all.add("event");
        }

        @Override
        public void collectWithTimestamp(Event event, long timestamp) {
            all.add("event");
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
