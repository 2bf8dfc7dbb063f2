package io.telefold.source;

import io.telefold.event.Event;
import org.apache.flink.streaming.api.functions.AssignerWithPeriodicWatermarks;
import org.apache.flink.streaming.api.watermark.Watermark;

/** Stamps records with their arrivals. What the time is, {@link StreamReader} tells: a record alone does not. */
@SuppressWarnings("deprecation") // the Kinesis consumer takes no other kind of timestamps
public final class Arrivals implements AssignerWithPeriodicWatermarks<Event> {

    private static final long serialVersionUID = 1L;

    @Override
    public long extractTimestamp(Event event, long recordTimestamp) {
        return event.arrival;
    }

    @Override
    public Watermark getCurrentWatermark() {
        return null;
    }
}
