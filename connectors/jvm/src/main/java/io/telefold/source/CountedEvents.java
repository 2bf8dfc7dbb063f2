package io.telefold.source;

import io.telefold.event.Event;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;

/** Passes events on and counts them in the accumulator {@code records}, which a job that has ended still tells. */
public final class CountedEvents extends RichMapFunction<Event, Event> {

    private static final long serialVersionUID = 1L;

    private transient LongCounter records;

    @Override
    public void open(OpenContext context) {
        records = getRuntimeContext().getLongCounter("records");
    }

    @Override
    public Event map(Event event) {
        records.add(1);
        return event;
    }
}
