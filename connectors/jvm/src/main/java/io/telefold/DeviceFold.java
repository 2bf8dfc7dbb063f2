package io.telefold;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;
import org.apache.flink.util.OutputTag;

/**
 * Folds each event of a device once into the device's views, and sets aside what comes too late to be folded, or with
 * too many new names. Keyed by
 * {@link DeviceKey}; takes valid rows of {@link EventRow} only. Emits batches of the rows that changed since the last
 * flush, each row once, as {@link #batchType}.
 *
 * <p>State is read when a device is first heard of after a flush, unless it is still at hand from the flush before, and
 * written when it is flushed, so that its cost is shared by all events of the device in between.
 *
 * <p>What is late and what is a duplicate depends on the device's own events and their order, and on no watermark: a
 * replay after a crash decides every event as it was decided before, whatever other devices and shards do meanwhile.
 * The wall clock has one say. Of a device silent for longer than the retention all but its clock is forgotten, so the
 * windows that it had are closed to it: folding into them again would write smaller counts over true ones.
 *
 * <p>Events within the cut are forgiven: never too late, and folded with their correction where there is one. All their
 * ids and windows are remembered, whatever the horizon and however long the replay takes, until an event beyond the cut
 * that is in time prunes them; a device that sends none keeps them. Which events within the cut are accepted, and with
 * what readings, therefore does not depend on their order (where copies of an event are equal). They leave the clock at
 * the largest of their times, and it judges the events beyond the cut.
 *
 * <p>So does how many metrics of a device are known. One that was not reported for longer than the lateness and the
 * largest window is forgotten; an event with which there would be more at a time than {@link DeviceViews#maxMetrics} is
 * set aside as a whole. For a device that comes to so many, the order of its events counts even within the cut.
 *
 * <p>A device of which nothing more comes for the device's retention, by the wall clock, is forgotten altogether.
 *
 * <p>A correction is counted and dropped: it was taken into account when the corrections were gathered, or waits in the
 * log for the next replay.
 */
public final class DeviceFold extends FlushingOperator implements Triggerable<String, VoidNamespace> {

    private static final long serialVersionUID = 1L;
    private static final int MAX_ROWS_A_BATCH = 1_000;
    private static final int MAX_STARTS_KEPT = 10_000;
    private static final long CACHE_BYTES = 64L << 20;
    private static final OutputTag<Row> ACCEPTED = new OutputTag<>("accepted", EventRow.type());
    private static final OutputTag<Row> SET_ASIDE = new OutputTag<>("set-aside", EventRow.type());

    private final TimeRules rules;
    private final Cut cut;
    private final Corrections corrections;
    private final DeviceViews views;
    private final int maxRows;
    private final long cacheBytes;
    private long rowsSinceMs = Long.MIN_VALUE;

    private transient ValueState<byte[]> states;
    private transient EventIds.States ids;
    private transient List<MapState<Long, byte[]>> earlierWindows;
    private transient InternalTimerService<VoidNamespace> timers;

    /** The devices heard of since the last flush, by device_id. */
    private transient Map<String, DeviceState> devices;

    private transient DeviceCache flushed;
    private transient int rowsDue;
    private transient StringBuilder lines;
    private transient int linesHeld;
    private transient Map<Long, String> starts;

    private transient Counter accepted;
    private transient Counter duplicates;
    private transient Counter tooLate;
    private transient Counter tooManyNames;
    private transient Counter correctionsSeen;
    private transient Counter newDevices;
    private transient Counter forgottenDevices;

    /** When the oldest event arrived whose rows were not sent yet; reporters of metrics read it, too. */
    private transient volatile long oldestWaiting;

    /** Flushes every {@code intervalMs} of processing time, and at {@code maxRows} rows. */
    public DeviceFold(
            TimeRules rules, Cut cut, Corrections corrections, DeviceViews views, long intervalMs, int maxRows) {
        this(rules, cut, corrections, views, intervalMs, maxRows, CACHE_BYTES);
    }

    DeviceFold(
            TimeRules rules,
            Cut cut,
            Corrections corrections,
            DeviceViews views,
            long intervalMs,
            int maxRows,
            long cacheBytes) {
        super(intervalMs);
        this.rules = rules;
        this.cut = cut;
        this.corrections = corrections;
        this.views = views;
        this.maxRows = maxRows;
        this.cacheBytes = cacheBytes;
    }

    /**
     * Folds all, and emits only rows that an event changed which arrived at {@code arrivalMs} or later: they are as a fold
     * of the whole log would emit them.
     */
    public DeviceFold emittingSince(long arrivalMs) {
        rowsSinceMs = arrivalMs;
        return this;
    }

    /** (count INT, rows STRING): so many lines, each a {@code schemas.view_rows.ViewUpdate} in JSON. */
    public static RowTypeInfo batchType() {
        return new RowTypeInfo(new TypeInformation<?>[] {Types.INT, Types.STRING}, new String[] {"count", "rows"});
    }

    /** The side output of the events that were folded, corrections applied. */
    public static OutputTag<Row> accepted() {
        return ACCEPTED;
    }

    /** The side output of rows that were not folded and are no duplicates, with their reason and detail set. */
    public static OutputTag<Row> setAside() {
        return SET_ASIDE;
    }

    @Override
    public void open() throws Exception {
        PrimitiveArrayTypeInfo<byte[]> bytes = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
        states = getRuntimeContext().getState(new ValueStateDescriptor<>("device", bytes));
        ids = new EventIds.States(
                getRuntimeContext().getMapState(new MapStateDescriptor<>("id-chunks", Types.LONG, bytes)),
                getRuntimeContext().getMapState(new MapStateDescriptor<>("ids", Types.STRING, Types.LONG)));
        earlierWindows = new ArrayList<>();
        for (long windowMs : views.windowMs) {
            earlierWindows.add(getRuntimeContext()
                    .getMapState(new MapStateDescriptor<>("windows-of-" + windowMs, Types.LONG, bytes)));
        }
        timers = getInternalTimerService("silence", VoidNamespaceSerializer.INSTANCE, this);
        MetricGroup metrics = Metrics.of(getMetricGroup());
        accepted = metrics.counter("accepted");
        duplicates = metrics.counter("duplicates");
        tooLate = metrics.counter("tooLate");
        tooManyNames = metrics.counter("tooManyNames");
        correctionsSeen = metrics.counter("corrections");
        newDevices = metrics.counter("newDevices");
        forgottenDevices = metrics.counter("forgottenDevices");
        flushed = new DeviceCache(cacheBytes);
        starts = new HashMap<>();
        lines = new StringBuilder();
        super.open();
        metrics.gauge("freshnessMs", this::freshnessMs);
    }

    @Override
    void clear() {
        devices = new HashMap<>();
        rowsDue = 0;
        oldestWaiting = Long.MAX_VALUE;
    }

    /** Grows for as long as what comes after takes nothing more, since a flush is over when its last row was taken. */
    private long freshnessMs() {
        long oldest = oldestWaiting;
        long now = getProcessingTimeService().getCurrentProcessingTime();
        return oldest == Long.MAX_VALUE ? 0 : Math.max(0, now - oldest);
    }

    @Override
    boolean isEmpty() {
        return devices.isEmpty();
    }

    @Override
    boolean isFull() {
        return Math.max(rowsDue, devices.size()) >= maxRows;
    }

    @Override
    void add(Row row) throws Exception {
        if (row.getField(EventRow.CORRECTS) != null) {
            correctionsSeen.inc();
        } else if (cut.holds(row)) {
            addForgiven(corrections.corrected(row));
        } else {
            addJudged(row);
        }
    }

    /** Its ids must last until the cut is passed, so that nothing expires, however long that takes. */
    private void addForgiven(Row row) throws Exception {
        DeviceState device = device(deviceId(row));
        if (foldOnce(device, row)) {
            heardOf(device, false);
        }
    }

    private void addJudged(Row row) throws Exception {
        DeviceState device = device(deviceId(row));
        expireIfSilent(deviceId(row), device, now());
        String whyTooLate = rules.whyTooLate(device, eventTime(row));
        if (whyTooLate != null) {
            tooLate.inc();
            setAside(row, Reason.TOO_LATE, whyTooLate);
            return;
        }
        if (!foldOnce(device, row)) {
            return;
        }
        if (rules.isPruningDue(device)) {
            prune(device);
        }
        heardOf(device, true);
    }

    private void heardOf(DeviceState device, boolean judged) {
        device.lastSeen = now();
        device.judged |= judged;
        watch(device);
    }

    private long now() {
        return getProcessingTimeService().getCurrentProcessingTime();
    }

    private DeviceState device(String deviceId) throws IOException {
        DeviceState device = devices.get(deviceId);
        if (device == null) {
            device = flushed.take(deviceId);
            if (device == null) {
                device = stored();
            }
            devices.put(deviceId, device);
        }
        return device;
    }

    private DeviceState stored() throws IOException {
        byte[] stored = states.value();
        return stored == null ? new DeviceState(views.sizes()) : DeviceState.of(stored, views.sizes());
    }

    /** Returns whether the event is one of the device's, folded now or before. */
    private boolean foldOnce(DeviceState device, Row row) throws Exception {
        String eventId = (String) row.getField(EventRow.EVENT_ID);
        if (device.ids.contains(eventId, ids)) {
            duplicates.inc();
            return true;
        }
        long eventTime = eventTime(row);
        if (wouldKnowTooMany(device, metrics(row), Math.max(device.time, eventTime))) {
            tooManyNames.inc();
            setAside(row, Reason.TOO_MANY_NAMES, whyTooMany());
            return false;
        }
        if (device.isNew()) {
            device.prunedAt = eventTime;
            newDevices.inc();
        }
        device.time = Math.max(device.time, eventTime);
        device.ids.add(eventId, eventTime, rules.idsAChunk);
        device.idsSincePruned++;
        accepted.inc();
        long arrival = (Long) row.getField(EventRow.ARRIVAL);
        if (arrival < oldestWaiting) {
            oldestWaiting = arrival;
        }
        output.collect(ACCEPTED, new StreamRecord<>(row));
        fold(device, row);
        if (device.latest.size() > 2 * views.maxMetrics) {
            forgetMetrics(device);
        }
        return true;
    }

    /** Counts them only where so many names might be known, of which some were forgotten and not pruned yet. */
    private boolean wouldKnowTooMany(DeviceState device, Map<String, Double> metrics, long time) {
        if (device.latest.size() + metrics.size() <= views.maxMetrics) {
            return false;
        }
        long oldestKnown = rules.oldestKnown(time);
        int known = metrics.size();
        for (Map.Entry<String, Latest> each : device.latest.entrySet()) {
            if (each.getValue().at() >= oldestKnown && !metrics.containsKey(each.getKey())) {
                known++;
            }
        }
        return known > views.maxMetrics;
    }

    private String whyTooMany() {
        return String.format(
                "with this event more than %d metrics of its device would be known, of which each is forgotten when it"
                        + " was not reported for longer than rollup.lateness and the largest window",
                views.maxMetrics);
    }

    private void fold(DeviceState device, Row row) throws Exception {
        long eventTime = eventTime(row);
        Map<String, Double> metrics = metrics(row);
        long sequence = (Long) row.getField(EventRow.SEQUENCE);
        String eventId = (String) row.getField(EventRow.EVENT_ID);
        boolean emits = (Long) row.getField(EventRow.ARRIVAL) >= rowsSinceMs;
        for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            Latest latest = device.latest.computeIfAbsent(metric.getKey(), name -> new Latest());
            if (latest.offer(eventTime, sequence, eventId, metric.getValue()) && emits && views.latest != null) {
                change(latest);
            }
        }
        for (int size = 0; size < views.sizes(); size++) {
            Window window = window(device, size, eventTime - Math.floorMod(eventTime, views.windowMs[size]));
            for (Map.Entry<String, Double> metric : metrics.entrySet()) {
                Readings readings = window.of(metric.getKey());
                readings.add(eventTime, metric.getValue());
                if (emits) {
                    change(readings);
                }
            }
        }
    }

    private void change(RowValues values) {
        if (!values.changed) {
            values.changed = true;
            rowsDue++;
        }
    }

    private Window window(DeviceState device, int size, long start) throws Exception {
        Window current = device.current[size];
        if (current != null && start < current.start) {
            return earlierWindow(device, size, start);
        }
        if (current == null || start > current.start) {
            if (current != null) {
                device.putEarlier(size, current);
            }
            device.current[size] = new Window(start);
        }
        return device.current[size];
    }

    private Window earlierWindow(DeviceState device, int size, long start) throws Exception {
        Window window = device.earlier(size).get(start);
        if (window == null) {
            byte[] stored = earlierWindows.get(size).get(start);
            window = stored == null ? new Window(start) : Window.of(stored);
            device.putEarlier(size, window);
        }
        return window;
    }

    /** Forgets what no event that is still in time can meet. */
    private void prune(DeviceState device) throws Exception {
        device.ids.forgetBefore(rules.oldestRemembered(device), ids);
        long oldestInTime = rules.oldestInTime(device);
        for (int size = 0; size < views.sizes(); size++) {
            for (Iterator<Long> each = earlierWindows.get(size).keys().iterator(); each.hasNext(); ) {
                if (each.next() + views.windowMs[size] <= oldestInTime) {
                    each.remove();
                }
            }
        }
        forgetMetrics(device);
        device.prunedAt = device.time;
        device.idsSincePruned = 0;
    }

    /** Also within the cut, where a whole life of a device may be folded and nothing is pruned. */
    private void forgetMetrics(DeviceState device) {
        long oldestKnown = rules.oldestKnown(device.time);
        device.latest.values().removeIf(latest -> latest.at() < oldestKnown && !latest.changed);
    }

    private void expireIfSilent(String deviceId, DeviceState device, long now) throws IOException {
        if (!device.isNew() && !device.isExpired() && rules.isSilent(device, now)) {
            appendRows(deviceId, device);
            device.closedBefore = rules.nextWindows(device);
            device.forgetReadings();
            device.ids.clear(ids);
            earlierWindows.forEach(MapState::clear);
        }
    }

    /** One timer a device. */
    private void watch(DeviceState device) {
        boolean mayFallSilent = device.judged && !device.isExpired();
        long due = mayFallSilent ? rules.silentAt(device) : rules.goneAt(device);
        if (due < device.wakeAt) {
            if (device.wakeAt != Long.MAX_VALUE) {
                timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, device.wakeAt);
            }
            timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, due);
            device.wakeAt = due;
        }
    }

    /** Frees the state of a device that fell silent, which no event of its own would do. */
    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        DeviceState device = device(timer.getKey());
        device.wakeAt = Long.MAX_VALUE;
        if (rules.isGone(device, now())) {
            forget(timer.getKey(), device);
        } else {
            if (device.judged) {
                expireIfSilent(timer.getKey(), device, now());
            }
            watch(device);
        }
        // After a long stop the timers of all devices are due at once.
        flushIfFull();
    }

    private void forget(String deviceId, DeviceState device) throws Exception {
        appendRows(deviceId, device);
        emitLines();
        devices.remove(deviceId);
        device.ids.clear(ids);
        earlierWindows.forEach(MapState::clear);
        states.clear();
        forgottenDevices.inc();
    }

    /** Never called: there are no timers in event time. */
    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) {}

    @Override
    void emitAll() throws Exception {
        for (Map.Entry<String, DeviceState> each : devices.entrySet()) {
            setCurrentKey(each.getKey());
            appendRows(each.getKey(), each.getValue());
            store(each.getValue());
            for (Map.Entry<String, DeviceState> dropped :
                    flushed.put(each.getKey(), each.getValue()).entrySet()) {
                leaveTheHeap(dropped.getKey(), dropped.getValue());
            }
        }
        emitLines();
    }

    /** Its ids are looked up in state from now on, instead of read as a whole whenever it is heard of. */
    private void leaveTheHeap(String deviceId, DeviceState device) throws Exception {
        if (device.ids.hasChunks()) {
            setCurrentKey(deviceId);
            device.ids.scatter(ids);
            states.update(device.toBytes());
        }
    }

    private void store(DeviceState device) throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            for (Map.Entry<Long, Window> each : device.earlier(size).entrySet()) {
                earlierWindows.get(size).put(each.getKey(), each.getValue().toBytes());
            }
        }
        device.forgetEarlier();
        device.ids.save(ids);
        states.update(device.toBytes());
    }

    private void appendRows(String deviceId, DeviceState device) {
        String quotedDevice = RowFormat.quoted(deviceId);
        for (Map.Entry<String, Latest> each : device.latest.entrySet()) {
            appendIfChanged(views.latest, quotedDevice, each.getKey(), "", each.getValue(), each.getValue().at());
        }
        for (int size = 0; size < views.sizes(); size++) {
            if (device.current[size] != null) {
                appendRollups(size, quotedDevice, device.current[size]);
            }
            for (Window window : device.earlier(size).values()) {
                appendRollups(size, quotedDevice, window);
            }
        }
    }

    private void appendRollups(int size, String quotedDevice, Window window) {
        String suffix = "#" + isoTime(window.start);
        long end = window.start + views.windowMs[size];
        for (Map.Entry<String, Readings> each : window.readings.entrySet()) {
            appendIfChanged(views.rollups[size], quotedDevice, each.getKey(), suffix, each.getValue(), end);
        }
    }

    private void appendIfChanged(
            RowFormat format, String quotedDevice, String metric, String suffix, RowValues values, long aboutMs) {
        if (!values.changed) {
            return;
        }
        if (linesHeld > 0) {
            lines.append('\n');
        }
        format.append(lines, quotedDevice, metric, suffix, values, aboutMs);
        values.changed = false;
        linesHeld++;
        if (linesHeld == MAX_ROWS_A_BATCH) {
            emitLines();
        }
    }

    private void emitLines() {
        if (linesHeld > 0) {
            emit(Row.of(linesHeld, lines.toString()), linesHeld);
            lines.setLength(0);
            linesHeld = 0;
        }
    }

    /** Windows of many devices share their starts. */
    private String isoTime(long start) {
        if (starts.size() > MAX_STARTS_KEPT) {
            starts.clear();
        }
        return starts.computeIfAbsent(start, ms -> Instant.ofEpochSecond(Math.floorDiv(ms, 1000L)).toString());
    }

    private void setAside(Row row, Reason reason, String detail) {
        Row copy = Row.copy(row);
        copy.setField(EventRow.REASON, reason.toString());
        copy.setField(EventRow.DETAIL, detail);
        output.collect(SET_ASIDE, new StreamRecord<>(copy));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Double> metrics(Row row) {
        return (Map<String, Double>) row.getField(EventRow.METRICS);
    }

    private static String deviceId(Row row) {
        return (String) row.getField(EventRow.DEVICE_ID);
    }

    private static long eventTime(Row row) {
        return (Long) row.getField(EventRow.EVENT_TIME);
    }
}
