package io.telefold;

import java.util.Iterator;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.TimerService;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Forwards each event of a device once, and sets aside what comes too late to be folded. Keyed by {@link DeviceKey};
 * takes valid rows of {@link EventRow} only.
 *
 * <p>What is late and what is a duplicate depends on the device's own events and their order, and on no watermark: a
 * replay after a crash decides every event as it was decided before, whatever other devices and shards do meanwhile.
 * The wall clock has one say. A device silent for longer than the retention has lost its folds downstream, so the
 * windows they covered are closed to it: folding into them again would write smaller counts over true ones.
 *
 * <p>Events within the cut are forgiven: never too late, and folded with their correction where there is one. All their
 * ids are remembered, whatever the horizon and however long the replay takes, until an event beyond the cut that is in
 * time prunes them; a device that sends none keeps them. Which events within the cut are accepted, and with what
 * readings, therefore does not depend on their order (where copies of an event are equal). They leave the clock at the
 * largest of their times, and it judges the events beyond the cut.
 *
 * <p>A correction is counted and dropped: it was taken into account when the corrections were gathered, or waits in the
 * log for the next replay.
 *
 * <p>All durations are in milliseconds. The horizon is how long an event_id is remembered, in the device's event
 * time, and is at least the lateness; the largest window is that of the longest rollup.
 */
public final class Deduplicate extends KeyedProcessFunction<String, Row, Row> {

    private static final long serialVersionUID = 1L;
    private static final OutputTag<Row> TOO_LATE = new OutputTag<>("too-late", EventRow.type());

    private final long horizonMs;
    private final long latenessMs;
    private final long retentionMs;
    private final long largestWindowMs;
    private final Cut cut;
    private final Corrections corrections;

    private transient ValueState<DeviceClock> clocks;
    private transient MapState<String, Long> ids;
    private transient Counter accepted;
    private transient Counter duplicates;
    private transient Counter tooLate;
    private transient Counter correctionsSeen;

    /** Forgives nothing and corrects nothing: for a job whose views were not built from a replayed log. */
    public Deduplicate(long horizonMs, long latenessMs, long retentionMs, long largestWindowMs) {
        this(horizonMs, latenessMs, retentionMs, largestWindowMs, Cut.nowhere(), Corrections.none());
    }

    public Deduplicate(
            long horizonMs,
            long latenessMs,
            long retentionMs,
            long largestWindowMs,
            Cut cut,
            Corrections corrections) {
        this.horizonMs = horizonMs;
        this.latenessMs = latenessMs;
        this.retentionMs = retentionMs;
        this.largestWindowMs = largestWindowMs;
        this.cut = cut;
        this.corrections = corrections;
    }

    /** The side output of rows that came too late, with their reason and detail set. */
    public static OutputTag<Row> tooLate() {
        return TOO_LATE;
    }

    /** What is remembered of one device besides its event ids. Exists from its first accepted event on. */
    public static final class DeviceClock {

        /** The largest event_time accepted. */
        public long time = Long.MIN_VALUE;

        /** Events before this are too late however recent the clock is. */
        public long closedBefore = Long.MIN_VALUE;

        /** Wall clock of the last event accepted or found a duplicate. */
        public long lastSeen;

        /** What {@link #time} was when the ids were last pruned. */
        public long prunedAt;

        /** Whether a timer is armed that will look whether the device fell silent. */
        public boolean watched;

        boolean isExpired() {
            return closedBefore > time;
        }
    }

    @Override
    public void open(OpenContext context) {
        clocks = getRuntimeContext().getState(new ValueStateDescriptor<>("clock", Types.POJO(DeviceClock.class)));
        ids = getRuntimeContext().getMapState(new MapStateDescriptor<>("ids", Types.STRING, Types.LONG));
        MetricGroup metrics = getRuntimeContext().getMetricGroup();
        accepted = metrics.addGroup("telefold").counter("accepted");
        duplicates = metrics.addGroup("telefold").counter("duplicates");
        tooLate = metrics.addGroup("telefold").counter("too_late");
        correctionsSeen = metrics.addGroup("telefold").counter("corrections");
    }

    @Override
    public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
        if (row.getField(EventRow.CORRECTS) != null) {
            correctionsSeen.inc();
        } else if (cut.holds(row)) {
            processForgiven(corrections.corrected(row), context, out);
        } else {
            processJudged(row, context, out);
        }
    }

    /** No timer: the ids must last until the cut is passed, however long that takes. */
    private void processForgiven(Row row, Context context, Collector<Row> out) throws Exception {
        DeviceClock clock = acceptOnce(clocks.value(), row, out);
        clock.lastSeen = context.timerService().currentProcessingTime();
        clocks.update(clock);
    }

    private void processJudged(Row row, Context context, Collector<Row> out) throws Exception {
        long now = context.timerService().currentProcessingTime();
        DeviceClock clock = clocks.value();
        if (clock != null) {
            expireIfSilent(clock, now);
            String whyTooLate = whyTooLate(clock, eventTime(row));
            if (whyTooLate != null) {
                tooLate.inc();
                context.output(TOO_LATE, rejected(row, whyTooLate));
                return;
            }
        }
        clock = acceptOnce(clock, row, out);
        // A scan of the ids is paid for by the events that moved the clock a quarter of the horizon.
        if (clock.time - clock.prunedAt > Math.max(1, horizonMs / 4)) {
            prune(clock);
        }
        clock.lastSeen = now;
        watch(clock, context.timerService());
        clocks.update(clock);
    }

    /** Frees the ids of a device that fell silent, which no event of its own would do. */
    @Override
    public void onTimer(long timestamp, OnTimerContext context, Collector<Row> out) throws Exception {
        DeviceClock clock = clocks.value();
        clock.watched = false;
        expireIfSilent(clock, context.timerService().currentProcessingTime());
        if (!clock.isExpired()) {
            watch(clock, context.timerService());
        }
        clocks.update(clock);
    }

    private void expireIfSilent(DeviceClock clock, long now) throws Exception {
        if (now - clock.lastSeen > retentionMs && !clock.isExpired()) {
            clock.closedBefore = (Math.floorDiv(clock.time, largestWindowMs) + 1) * largestWindowMs;
            ids.clear();
            clocks.update(clock);
        }
    }

    /** One sentence for the dead letter, null if the event is in time. */
    private String whyTooLate(DeviceClock clock, long eventTime) {
        if (eventTime < clock.closedBefore) {
            return String.format(
                    "event_time %d is %d ms before %d, up to which the windows of this device were closed when it had"
                            + " been silent for longer than state.retention of %d ms",
                    eventTime, clock.closedBefore - eventTime, clock.closedBefore, retentionMs);
        }
        if (eventTime < clock.time - latenessMs) {
            return String.format(
                    "event_time %d is %d ms behind the newest event of its device, and rollup.lateness allows %d ms",
                    eventTime, clock.time - eventTime, latenessMs);
        }
        return null;
    }

    private DeviceClock acceptOnce(DeviceClock known, Row row, Collector<Row> out) throws Exception {
        if (known != null && ids.contains(eventId(row))) {
            duplicates.inc();
            return known;
        }
        long eventTime = eventTime(row);
        DeviceClock clock = known;
        if (clock == null) {
            clock = new DeviceClock();
            clock.prunedAt = eventTime;
        }
        clock.time = Math.max(clock.time, eventTime);
        ids.put(eventId(row), eventTime);
        accepted.inc();
        out.collect(row);
        return clock;
    }

    private void prune(DeviceClock clock) throws Exception {
        long oldest = clock.time - horizonMs;
        for (Iterator<Map.Entry<String, Long>> each = ids.iterator(); each.hasNext(); ) {
            if (each.next().getValue() < oldest) {
                each.remove();
            }
        }
        clock.prunedAt = clock.time;
    }

    private void watch(DeviceClock clock, TimerService timers) {
        if (!clock.watched) {
            timers.registerProcessingTimeTimer(clock.lastSeen + retentionMs + 1);
            clock.watched = true;
        }
    }

    private static Row rejected(Row row, String detail) {
        Row copy = Row.copy(row);
        copy.setField(EventRow.REASON, Reason.TOO_LATE.toString());
        copy.setField(EventRow.DETAIL, detail);
        return copy;
    }

    private static String eventId(Row row) {
        return (String) row.getField(EventRow.EVENT_ID);
    }

    private static long eventTime(Row row) {
        return (Long) row.getField(EventRow.EVENT_TIME);
    }
}
