package io.telefold;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.types.Row;

/**
 * Keeps the valid rows of {@link EventRow}, as {@link Validity} does, and counts all of them: those that it drops by
 * their reason, too.
 *
 * <p>Here rather than in the decoder, of which there is one for each shard, with metrics of its own.
 */
public final class Intake extends RichFilterFunction<Row> {

    private static final long serialVersionUID = 1L;

    private transient Counter eventsIn;
    private transient Counter rejected;
    private transient Map<String, Counter> rejectedBecause;
    private transient volatile long lastArrival;

    @Override
    public void open(OpenContext context) {
        MetricGroup metrics = Metrics.of(getRuntimeContext().getMetricGroup());
        eventsIn = metrics.counter("eventsIn");
        rejected = metrics.counter("rejected");
        rejectedBecause = new HashMap<>();
        for (Reason reason : Reason.OF_RECORDS) {
            rejectedBecause.put(reason.toString(), metrics.counter(reason.metric()));
        }
        metrics.gauge("lastArrival", () -> lastArrival);
    }

    @Override
    public boolean filter(Row row) {
        eventsIn.inc();
        lastArrival = Math.max(lastArrival, (Long) row.getField(EventRow.ARRIVAL));
        String reason = (String) row.getField(EventRow.REASON);
        if (reason == null) {
            return true;
        }
        rejected.inc();
        rejectedBecause.get(reason).inc();
        return false;
    }
}
