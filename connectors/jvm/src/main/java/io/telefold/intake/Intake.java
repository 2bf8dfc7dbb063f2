package io.telefold.intake;

import io.telefold.Metrics;
import io.telefold.event.Event;
import io.telefold.event.Reason;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the valid {@link Event}s, and counts all of them: those that it drops by their reason, and those that it
 * keeps whose partition key is not their device. These it also names in the log.
 *
 * <p>Here rather than in the decoder, of which there is one for each shard, with metrics of its own.
 */
public final class Intake extends RichFilterFunction<Event> {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(Intake.class);

    private transient Counter eventsIn;
    private transient Counter otherKeys;
    private transient Counter rejected;
    private transient Map<String, Counter> rejectedBecause;
    private transient OtherKeys named;
    private transient volatile long lastArrival;

    /** Keeps the others: the rejected events. */
    public static FilterFunction<Event> rejected() {
        return Event::isRejected;
    }

    @Override
    public void open(OpenContext context) {
        MetricGroup metrics = Metrics.of(getRuntimeContext().getMetricGroup());
        eventsIn = metrics.counter("eventsIn");
        otherKeys = metrics.counter("otherKeys");
        named = new OtherKeys();
        rejected = metrics.counter("rejected");
        rejectedBecause = new HashMap<>();
        for (Reason reason : Reason.OF_RECORDS) {
            rejectedBecause.put(reason.toString(), metrics.counter(reason.metric()));
        }
        metrics.gauge("lastArrival", () -> lastArrival);
    }

    @Override
    public boolean filter(Event event) {
        eventsIn.inc();
        lastArrival = Math.max(lastArrival, event.arrival);
        String reason = event.reason;
        if (reason == null) {
            if (OtherKeys.has(event)) {
                tellOfOtherKey(event);
            }
            return true;
        }
        rejected.inc();
        rejectedBecause.get(reason).inc();
        return false;
    }

    private void tellOfOtherKey(Event event) {
        otherKeys.inc();
        String line = named.line(event, System.nanoTime() / 1_000_000);
        if (line != null) {
            LOG.warn(line);
        }
    }
}
