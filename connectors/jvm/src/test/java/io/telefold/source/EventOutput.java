package io.telefold.source;

import io.telefold.event.Event;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;

/** Keeps what a reader emits. Fails where an event comes behind the watermark of its reader, or one goes back. */
final class EventOutput implements ReaderOutput<Event> {

    final List<Event> events = new ArrayList<>();
    long watermark = Long.MIN_VALUE;

    @Override
    public void collect(Event event) {
        throw new AssertionError("Without a timestamp: " + event);
    }

    @Override
    public void collect(Event event, long timestamp) {
        if (timestamp != event.arrival) {
            throw new AssertionError("With " + timestamp + " as its timestamp: " + event);
        }
        if (timestamp <= watermark) {
            throw new AssertionError("Behind the watermark " + watermark + ": " + event);
        }
        events.add(event);
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
        throw new AssertionError("nobody waits for whoever is idle");
    }

    @Override
    public void markActive() {}

    @Override
    public SourceOutput<Event> createOutputForSplit(String split) {
        return this;
    }

    @Override
    public void releaseOutputForSplit(String split) {}
}
