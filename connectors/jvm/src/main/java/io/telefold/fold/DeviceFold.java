package io.telefold.fold;

import io.telefold.Metrics;
import io.telefold.batch.DueTimes;
import io.telefold.batch.FlushingOperator;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Reason;
import io.telefold.view.Destination;
import io.telefold.view.DeviceViews;
import io.telefold.view.RowLines;
import io.telefold.view.RowValues;
import io.telefold.view.WindowSize;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;
import org.apache.flink.util.OutputTag;

/**
 * Folds each event of a device once into the device's views, and sets aside what comes too late to be folded, or with
 * too many new names. Keyed by
 * {@link DeviceKey}; takes valid {@link Event}s only. Emits batches of the {@link DeviceItems} of which a row
 * changed since the last flush, as {@link RowLines#batchType}.
 *
 * <p>State is read when a device is first heard of after a flush, unless it is still at hand from the flush before, and
 * written when it is flushed, so that its cost is shared by all events of the device in between.
 *
 * <p>What is late and what is a duplicate depends on the device's own events and their order, and on no clock: a replay
 * decides every event as it was decided before, whatever other devices and shards do meanwhile. That goes for silence,
 * too, which lasts from the greatest arrival of the device's events so far to the arrival of its next. Of a device silent
 * for longer than the retention all but its clock is forgotten, so the windows that it had are closed to it: folding into
 * them again would write smaller counts over true ones. After the device's retention it is forgotten altogether. The
 * watermark, which is the time of the log, only does earlier what the next event would do, so that state is freed.
 *
 * <p>Events within the cut are forgiven: never too late, and folded with their correction where there is one. All their
 * ids and windows are remembered, whatever the horizon and however long the replay takes, until an event beyond the cut
 * that is in time prunes them; a device that sends none keeps them. Which events within the cut are accepted, and with
 * what readings, therefore does not depend on their order (where copies of an event are equal). They leave the clock at
 * the largest of their times since the device was last silent for longer than its retention, and it judges the events
 * beyond the cut. That silence ends there, too, what counters go on from, which depends on the order of events anyhow.
 *
 * <p>So does how many metrics of a device are known. One that was not reported for longer than the lateness and the
 * largest window is forgotten; an event with which there would be more at a time than {@link DeviceViews#maxMetrics} is
 * set aside as a whole. For a device that comes to so many, the order of its events counts even within the cut.
 *
 * <p>A correction is counted and dropped: it was taken into account when the corrections were gathered, or waits in the
 * log for the next replay.
 */
public final class DeviceFold extends FlushingOperator<Event> implements Triggerable<String, VoidNamespace> {

    private static final long serialVersionUID = 1L;
    private static final long CACHE_BYTES = 64L << 20;
    private static final OutputTag<Event> ACCEPTED = new OutputTag<>("accepted", Event.type());
    private static final OutputTag<Event> SET_ASIDE = new OutputTag<>("set-aside", Event.type());

    private final TimeRules rules;
    private final Cut cut;
    private final Corrections corrections;
    private final DeviceViews views;
    private final int maxRows;
    private final long cacheBytes;
    private long rowsSinceMs = Long.MIN_VALUE;
    private boolean tellsIncreases;
    private long durableMs;

    private transient ValueState<byte[]> states;
    private transient EventIds.States ids;
    private transient KnownWindows known;
    private transient InternalTimerService<VoidNamespace> timers;

    /** The devices heard of since the last flush, by device_id. */
    private transient Map<String, DeviceState> devices;

    private transient DeviceCache flushed;
    private transient int rowsDue;
    private transient RowLines lines;
    private transient DeviceItems items;
    private transient DurableItems durable;

    private transient Counter accepted;
    private transient Counter duplicates;
    private transient Counter tooLate;
    private transient Counter tooManyNames;
    private transient Counter correctionsSeen;
    private transient Counter newDevices;
    private transient Counter forgottenDevices;

    /** By how much more than the interval the durable store was behind with what it has been given since the last flush. */
    private transient long lateMs;

    /** What it was by the last one; reporters of metrics read it. */
    private transient volatile long durableLateMs;

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

    /**
     * Gives the durable store what changed at most {@code intervalMs} after it did, instead of with every flush; 0 does
     * not. Each device has its own times for that, spread over the interval.
     */
    public DeviceFold durableEvery(long intervalMs) {
        durableMs = intervalMs;
        return this;
    }

    /** Accepted events leave with their {@link Event#increases}. */
    public DeviceFold tellingIncreases() {
        tellsIncreases = true;
        return this;
    }

    /** The side output of the events that were folded, corrections applied. */
    public static OutputTag<Event> accepted() {
        return ACCEPTED;
    }

    /** The side output of events that were not folded and are no duplicates, with their reason and detail set. */
    public static OutputTag<Event> setAside() {
        return SET_ASIDE;
    }

    @Override
    public void open() throws Exception {
        PrimitiveArrayTypeInfo<byte[]> bytes = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
        states = getRuntimeContext().getState(new ValueStateDescriptor<>("device", bytes));
        ids = new EventIds.States(
                getRuntimeContext().getMapState(new MapStateDescriptor<>("id-chunks", Types.LONG, bytes)),
                getRuntimeContext().getMapState(new MapStateDescriptor<>("ids", Types.STRING, Types.LONG)));
        List<MapState<Long, byte[]>> earlier = new ArrayList<>();
        for (WindowSize size : views.windows) {
            earlier.add(getRuntimeContext()
                    .getMapState(new MapStateDescriptor<>("windows-of-" + size.name, Types.LONG, bytes)));
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
        lines = new RowLines((rows, text) -> emit(Row.of(rows, text), rows));
        items = new DeviceItems(views, lines);
        known = new KnownWindows(views, earlier);
        durable = new DurableItems(views, items, known, durableMs);
        super.open();
        metrics.gauge("freshnessMs", this::freshnessMs);
        metrics.gauge("durableLateMs", () -> durableLateMs);
    }

    @Override
    protected void clear() {
        devices = new HashMap<>();
        durableLateMs = lateMs;
        lateMs = 0;
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
    protected boolean isEmpty() {
        return devices.isEmpty();
    }

    @Override
    protected boolean isFull() {
        return Math.max(rowsDue, devices.size()) >= maxRows;
    }

    @Override
    protected void add(Event event) throws Exception {
        if (event.corrects != null) {
            correctionsSeen.inc();
        } else if (cut.holds(event)) {
            addForgiven(corrections.corrected(event));
        } else {
            addJudged(event);
        }
    }

    /** Its ids and windows must last until the cut is passed, so that they do not expire, however long that takes. */
    private void addForgiven(Event event) throws Exception {
        DeviceState device = device(event.deviceId);
        if (rules.isGone(device, event.arrival)) {
            beginAnew(event.deviceId, device, event.eventTime);
        }
        if (foldOnce(device, event)) {
            heardOf(device, event, false);
        }
    }

    private void addJudged(Event event) throws Exception {
        DeviceState device = afterSilence(event.deviceId, event.arrival);
        String whyTooLate = rules.whyTooLate(device, event.eventTime);
        if (whyTooLate != null) {
            tooLate.inc();
            setAside(event, Reason.TOO_LATE, whyTooLate);
            return;
        }
        if (!foldOnce(device, event)) {
            return;
        }
        if (rules.isPruningDue(device)) {
            prune(device);
        }
        heardOf(device, event, true);
    }

    /**
     * What is left of a device within the cut that was silent for so long that the first fold of these events had forgotten
     * it: its ids and windows alone. Its counters have nothing to go on from, and its clock is that of this event.
     */
    private void beginAnew(String deviceId, DeviceState device, long eventTime) {
        forgetMetrics(deviceId, device, Long.MAX_VALUE);
        device.time = eventTime;
        device.prunedAt = eventTime;
        device.closedBefore = Long.MIN_VALUE;
    }

    private void heardOf(DeviceState device, Event event, boolean judged) {
        device.heardAt(event.arrival);
        device.judged |= judged;
        watch(device);
    }

    /** The device as the silence has left it that ends at {@code arrival}. */
    private DeviceState afterSilence(String deviceId, long arrival) throws Exception {
        DeviceState device = device(deviceId);
        if (rules.isGone(device, arrival)) {
            forget(deviceId, device);
            return device(deviceId);
        }
        expireIfSilent(deviceId, device, arrival);
        return device;
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
    private boolean foldOnce(DeviceState device, Event event) throws Exception {
        String eventId = event.eventId;
        if (device.ids.contains(eventId, ids)) {
            duplicates.inc();
            return true;
        }
        long eventTime = event.eventTime;
        if (wouldKnowTooMany(device, event.metrics, Math.max(device.time, eventTime))) {
            tooManyNames.inc();
            setAside(event, Reason.TOO_MANY_NAMES, whyTooMany());
            return false;
        }
        if (device.isNew()) {
            device.prunedAt = eventTime;
            newDevices.inc();
        }
        if (device.isWithoutWindows()) {
            device.knownSince = event.arrival;
        }
        device.time = Math.max(device.time, eventTime);
        device.ids.add(eventId, eventTime, rules.idsAChunk);
        device.idsSincePruned++;
        accepted.inc();
        oldestWaiting = Math.min(oldestWaiting, event.arrival);
        fold(device, event);
        output.collect(ACCEPTED, new StreamRecord<>(event));
        if (device.latest.size() > views.maxMetrics + views.maxMetrics / 4) {
            forgetMetrics(event.deviceId, device, rules.oldestKnown(device.time));
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

    private void fold(DeviceState device, Event event) throws Exception {
        long eventTime = event.eventTime;
        Map<String, Double> metrics = event.metrics;
        long sequence = event.sequence;
        String eventId = event.eventId;
        boolean emits = event.arrival >= rowsSinceMs;
        double[] increases = new double[metrics.size()];
        int place = 0;
        long bits = 0;
        boolean isInHead = false;
        for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            Latest latest = device.latest.computeIfAbsent(metric.getKey(), name -> new Latest());
            increases[place++] = latest.increaseTo(eventTime, sequence, eventId, metric.getValue());
            bits |= DeviceItems.bit(metric.getKey());
            if (latest.offer(eventTime, sequence, eventId, metric.getValue()) && emits && views.latest != null) {
                change(latest);
                isInHead = true;
            }
        }
        for (int size = 0; size < views.sizes(); size++) {
            Window window = window(device, size, views.windows[size].startOf(eventTime), emits);
            isInHead |= emits && window == device.current[size];
            place = 0;
            for (Map.Entry<String, Double> metric : metrics.entrySet()) {
                Readings readings = window.of(metric.getKey());
                readings.add(eventTime, sequence, eventId, metric.getValue(), increases[place++]);
                if (emits) {
                    change(readings);
                    window.isDue = true;
                }
            }
            if (durableMs > 0 && emits && window != device.current[size]) {
                durable.owe(device, size, window.start, bits);
            }
        }
        if (tellsIncreases) {
            event.increases = increases;
        }
        if (emits) {
            device.changed |= isInHead ? bits : 0;
            if (durableMs > 0) {
                device.due.metrics |= isInHead ? bits : 0;
                device.due.since = Math.min(device.due.since, event.arrival);
                arm(event.deviceId, device);
            }
        }
    }

    private void arm(String deviceId, DeviceState device) {
        if (device.due.at == DueItems.NEVER) {
            long now = getProcessingTimeService().getCurrentProcessingTime();
            device.due.at = DueTimes.next(deviceId, now, durableMs);
            timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, device.due.at);
        }
    }

    private void change(RowValues values) {
        if (!values.changed) {
            values.changed = true;
            rowsDue++;
        }
    }

    /** A window that another one follows leaves the head of its device for a block. */
    private Window window(DeviceState device, int size, long start, boolean emits) throws Exception {
        Window current = device.current[size];
        if (current != null && start < current.start) {
            return known.earlier(device, size, start);
        }
        if (current == null || start > current.start) {
            if (current != null) {
                current.isDue |= emits;
                device.putEarlier(size, current);
                if (durableMs > 0 && emits) {
                    durable.close(size, current.start, start, device.due);
                }
            }
            device.current[size] = new Window(start);
        }
        return device.current[size];
    }

    /** Forgets what no event that is still in time can meet. */
    private void prune(DeviceState device) throws Exception {
        device.ids.forgetBefore(rules.oldestRemembered(device), ids);
        long oldestInTime = rules.oldestInTime(device);
        for (int size = 0; size < views.sizes(); size++) {
            int ofSize = size;
            known.remove(
                    size,
                    start -> views.windows[ofSize].blockEnd(start) <= oldestInTime && !isOwed(device, ofSize, start));
        }
        device.prunedAt = device.time;
        device.idsSincePruned = 0;
    }

    /** Whether a window is yet to be written into a block, which takes all windows of the block. */
    private boolean isOwed(DeviceState device, int size, long start) {
        WindowSize windows = views.windows[size];
        return (device.due.holds(size) && start >= device.due.heldFrom[size])
                || device.due.lacks(size, start, windows.blockMs())
                || device.earlier(size).values().stream()
                        .anyMatch(window -> window.isDue && windows.blockOf(window.start) == windows.blockOf(start));
    }

    /** Those whose newest reading is before {@code oldestKnown}: their counters begin anew. */
    private void forgetMetrics(String deviceId, DeviceState device, long oldestKnown) {
        for (Iterator<Map.Entry<String, Latest>> each = device.latest.entrySet().iterator(); each.hasNext(); ) {
            Map.Entry<String, Latest> metric = each.next();
            if (metric.getValue().at() < oldestKnown) {
                items.appendForgotten(deviceId, metric.getKey(), metric.getValue());
                each.remove();
            }
        }
    }

    private void expireIfSilent(String deviceId, DeviceState device, long time) throws Exception {
        if (!device.isExpired() && rules.isSilent(device, time)) {
            appendLastRows(deviceId, device);
            device.closedBefore = views.nextWindows(device.time);
            device.forgetWindows();
            device.ids.clear(ids);
            known.clear();
        }
    }

    /** One timer a device. */
    private void watch(DeviceState device) {
        boolean mayFallSilent = device.judged && !device.isExpired();
        long due = mayFallSilent ? rules.silentAt(device) : rules.goneAt(device);
        if (due < device.wakeAt) {
            letSleep(device);
            timers.registerEventTimeTimer(VoidNamespace.INSTANCE, due);
            device.wakeAt = due;
        }
    }

    private void letSleep(DeviceState device) {
        if (device.wakeAt != Long.MAX_VALUE) {
            timers.deleteEventTimeTimer(VoidNamespace.INSTANCE, device.wakeAt);
        }
    }

    /** Frees the state of a device that fell silent, as its next event would. */
    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        long time = timers.currentWatermark();
        DeviceState device = device(timer.getKey());
        device.wakeAt = Long.MAX_VALUE;
        if (rules.isGone(device, time)) {
            forget(timer.getKey(), device);
        } else {
            if (device.judged) {
                expireIfSilent(timer.getKey(), device, time);
            }
            watch(device);
        }
        // Where time goes on by much the timers of many devices are due at once.
        flushIfFull();
    }

    /** What is due of a device is given to the durable store. */
    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        String deviceId = timer.getKey();
        DeviceState device = device(deviceId);
        countDelay(device);
        if (durable.appendDue(deviceId, device, true)) {
            device.due.since = getProcessingTimeService().getCurrentProcessingTime();
            arm(deviceId, device);
        }
        flushIfFull();
    }

    /** Whatever is due some time, is now. */
    @Override
    protected void beforeEnd() throws Exception {
        List<String> owed = new ArrayList<>();
        timers.forEachProcessingTimeTimer((namespace, at) -> owed.add((String) getCurrentKey()));
        for (String deviceId : owed) {
            setCurrentKey(deviceId);
            DeviceState device = device(deviceId);
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, device.due.at);
            countDelay(device);
            durable.appendDue(deviceId, device, false);
            flushIfFull();
        }
    }

    /** The end of a part of the log says nothing about what comes behind it. */
    @Override
    public void processWatermark(Watermark mark) throws Exception {
        if (mark.equals(Watermark.MAX_WATERMARK)) {
            output.emitWatermark(mark);
        } else {
            super.processWatermark(mark);
        }
    }

    private void forget(String deviceId, DeviceState device) throws Exception {
        appendLastRows(deviceId, device);
        device.latest.forEach((metric, latest) -> items.appendForgotten(deviceId, metric, latest));
        lines.emit();
        letSleep(device);
        devices.remove(deviceId);
        device.ids.clear(ids);
        known.clear();
        states.clear();
        forgottenDevices.inc();
    }

    @Override
    protected void emitAll() throws Exception {
        for (Map.Entry<String, DeviceState> each : devices.entrySet()) {
            setCurrentKey(each.getKey());
            appendRows(each.getKey(), each.getValue());
            store(each.getValue());
            for (Map.Entry<String, DeviceState> dropped :
                    flushed.put(each.getKey(), each.getValue()).entrySet()) {
                leaveTheHeap(dropped.getKey(), dropped.getValue());
            }
        }
        lines.emit();
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
        known.store(device);
        device.ids.save(ids);
        states.update(device.toBytes());
    }

    /** Those that the fast store lacks, and the durable one too if it is given all with every flush. */
    private void appendRows(String deviceId, DeviceState device) throws Exception {
        boolean isRightAway = durableMs == 0;
        if (isRightAway) {
            durable.appendHeldNoMore(deviceId, device);
        }
        appendRows(deviceId, device, isRightAway ? Destination.BOTH : Destination.FAST, rowsSinceMs != Long.MIN_VALUE);
    }

    /** Those of a device whose windows leave the state: the blocks have all of them, in both stores. */
    private void appendLastRows(String deviceId, DeviceState device) throws Exception {
        if (durableMs == 0 && device.due.at == DueItems.NEVER && !device.due.holdsAny()) {
            appendRows(deviceId, device, Destination.BOTH, true);
            return;
        }
        appendRows(deviceId, device, durableMs == 0 ? Destination.BOTH : Destination.FAST, true);
        if (device.due.at != DueItems.NEVER) {
            timers.deleteProcessingTimeTimer(VoidNamespace.INSTANCE, device.due.at);
        }
        durable.appendLast(deviceId, device);
    }

    /**
     * Blocks before the head, which has lost the windows in them; the current ones are in blocks, too, where they leave the
     * state, or where only a part of the log has its rows written.
     */
    private void appendRows(String deviceId, DeviceState device, Destination to, boolean withCurrent) throws Exception {
        appendChangedBlocks(deviceId, device, to, withCurrent);
        if (device.changed != 0) {
            items.append(deviceId, items.head(device, known.current(device), device.changed, to), to, false);
            device.changed = 0;
        }
    }

    private void appendChangedBlocks(String deviceId, DeviceState device, Destination to, boolean withCurrent)
            throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            WindowSize windows = views.windows[size];
            Map<Long, List<Window>> due = new TreeMap<>();
            for (Window window : device.earlier(size).values()) {
                if (window.isDue) {
                    due.computeIfAbsent(windows.blockOf(window.start), start -> new ArrayList<>())
                            .add(window);
                    window.isDue = false;
                }
            }
            Window current = device.current[size];
            if (withCurrent && current != null && device.heard >= rowsSinceMs) {
                due.computeIfAbsent(windows.blockOf(current.start), start -> new ArrayList<>())
                        .add(current);
            }
            for (Map.Entry<Long, List<Window>> block : due.entrySet()) {
                TreeMap<Long, Window> all = known.from(device, size, block.getKey());
                items.append(deviceId, items.block(device, size, block.getKey(), all, block.getValue(), to), to, false);
            }
        }
    }

    private void countDelay(DeviceState device) {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        lateMs = Math.max(lateMs, now - device.due.since - durableMs);
    }

    private void setAside(Event event, Reason reason, String detail) {
        Event copy = Event.copyOf(event);
        copy.reject(reason, detail);
        output.collect(SET_ASIDE, new StreamRecord<>(copy));
    }
}
