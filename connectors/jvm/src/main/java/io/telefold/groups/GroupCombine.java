package io.telefold.groups;

import io.telefold.Metrics;
import io.telefold.batch.HoldingOperator;
import io.telefold.event.Event;
import io.telefold.view.DeviceViews;
import io.telefold.view.Totals;
import io.telefold.view.WindowSize;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;

/**
 * Adds up the readings of the groups that a device is in: everywhere {@code all}, and for each of some attributes {@code
 * <attribute>#<value>} by the newest value that the device has told. Takes accepted {@link Event}s with their
 * increases, keyed by device, and emits rows of {@link PartialRow}: what all devices of a task have of a group, so that a
 * large group is no hot key behind it.
 *
 * <p>Of a device is remembered what it told, and when it was last heard, which is the greatest arrival of its events. An event
 * that is heard the device's retention later or more finds nothing of it. An event that arrives when the rows of its window
 * have ended adds nothing to them, and is counted: {@link GroupRollups} may have forgotten them.
 */
public final class GroupCombine extends HoldingOperator<Event> implements Triggerable<String, VoidNamespace> {

    private static final long serialVersionUID = 1L;
    private static final String ALL = "all";
    private static final int AT_HAND = 50_000;

    private final ArrayList<String> attributes;
    private final DeviceViews views;
    private final long keptMs;
    private final long retentionMs;
    private final int maxCells;

    private transient ValueState<byte[]> told;
    private transient ValueState<Long> heard;
    private transient InternalTimerService<VoidNamespace> timers;
    private transient Counter leftOut;

    /** Those heard of last, by device_id. */
    private transient Map<String, Device> atHand;

    /** Those heard of since the last flush that told something, ever: their state is due. */
    private transient Map<String, Device> unsaved;

    private transient Map<String, Windows> groups;
    private transient int cells;

    /**
     * Rows of {@code views} end {@code keptMs} after the longest that their window can be. Flushes at {@code maxCells}
     * partials or devices.
     */
    public GroupCombine(
            List<String> attributes, DeviceViews views, long keptMs, long retentionMs, long intervalMs, int maxCells) {
        super(intervalMs);
        this.attributes = new ArrayList<>(attributes);
        this.views = views;
        this.keptMs = keptMs;
        this.retentionMs = retentionMs;
        this.maxCells = maxCells;
    }

    /** The type of what it emits. */
    public static RowTypeInfo partialType() {
        return PartialRow.type();
    }

    @Override
    public void open() throws Exception {
        told = getRuntimeContext()
                .getState(new ValueStateDescriptor<>(
                        "told-by-device", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        heard = getRuntimeContext().getState(new ValueStateDescriptor<>("heard", Types.LONG));
        timers = getInternalTimerService("retention", VoidNamespaceSerializer.INSTANCE, this);
        atHand = new LinkedHashMap<String, Device>(16, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<String, Device> eldest) {
                return size() > AT_HAND;
            }
        };
        super.open();
        MetricGroup metrics = Metrics.of(getMetricGroup());
        leftOut = metrics.counter("contributionsLeftOut");
    }

    @Override
    protected void clear() {
        groups = new HashMap<>();
        unsaved = new HashMap<>();
        cells = 0;
    }

    @Override
    protected boolean isEmpty() {
        return groups.isEmpty() && unsaved.isEmpty();
    }

    @Override
    protected boolean isFull() {
        return Math.max(cells, unsaved.size()) >= maxCells;
    }

    @Override
    protected void add(Event event) throws Exception {
        Device device = heardOf(event);
        if (event.metrics.isEmpty()) {
            return;
        }
        add(ALL, event);
        for (String group : device.attributes.groups()) {
            add(group, event);
        }
    }

    private Device heardOf(Event event) throws Exception {
        String deviceId = event.deviceId;
        long arrival = event.arrival;
        Device device = atHand(deviceId);
        if (device.isForgottenAt(arrival, retentionMs)) {
            device = new Device(new Attributes(), Long.MIN_VALUE);
            device.told = true;
            atHand.put(deviceId, device);
        }
        device.heard = Math.max(device.heard, arrival);
        boolean isNews = device.attributes.tell(
                attributes, event.type, event.eventTime, event.sequence, event.eventId, event.attributes);
        device.told |= isNews;
        if (device.told || !device.attributes.isEmpty()) {
            unsaved.put(deviceId, device);
        }
        return device;
    }

    private Device atHand(String deviceId) throws Exception {
        Device device = unsaved.get(deviceId);
        device = device == null ? atHand.get(deviceId) : device;
        if (device == null) {
            byte[] known = told.value();
            device = known == null
                    ? new Device(new Attributes(), Long.MIN_VALUE)
                    : new Device(Attributes.of(known), heard.value());
            atHand.put(deviceId, device);
        }
        return device;
    }

    private void add(String group, Event event) {
        long at = event.eventTime;
        long arrival = event.arrival;
        Map<String, Double> metrics = event.metrics;
        double[] increases = event.increases;
        Windows ofGroup = groups.computeIfAbsent(group, name -> new Windows(views.sizes()));
        for (int size = 0; size < views.sizes(); size++) {
            long start = views.windows[size].startOf(at);
            if (arrival >= start + views.windows[size].longestMs + keptMs) {
                leftOut.inc(metrics.size());
                continue;
            }
            Map<String, Totals> totals = ofGroup.of(size, start);
            int metric = 0;
            for (Map.Entry<String, Double> reading : metrics.entrySet()) {
                Totals held = totals.get(reading.getKey());
                if (held == null) {
                    held = new Totals();
                    totals.put(reading.getKey(), held);
                    cells++;
                }
                held.add(at, reading.getValue(), increases[metric++]);
            }
        }
    }

    @Override
    protected void emitAll() throws Exception {
        groups.forEach((group, windows) -> windows.forEach((size, start, totals) -> {
            WindowSize windowSize = views.windows[size];
            long block = GroupRollups.block(windowSize, start);
            totals.forEach((metric, each) ->
                    emit(PartialRow.of(PartialRow.key(windowSize.name, metric, block, group), start, each), 1));
        }));
        for (Map.Entry<String, Device> each : unsaved.entrySet()) {
            setCurrentKey(each.getKey());
            save(each.getValue());
        }
    }

    /** One timer a device: it is armed when something is first told, and again when it fires too early. */
    private void save(Device device) throws Exception {
        if (device.attributes.isEmpty()) {
            told.clear();
            heard.clear();
        } else {
            if (device.told) {
                if (told.value() == null) {
                    timers.registerEventTimeTimer(VoidNamespace.INSTANCE, device.heard + retentionMs);
                }
                told.update(device.attributes.toBytes());
            }
            heard.update(device.heard);
        }
        device.told = false;
    }

    /** Nothing of the device is due, as watermarks wait for flushes. */
    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        Long last = heard.value();
        if (last == null) {
            return;
        }
        if (last + retentionMs > timer.getTimestamp()) {
            timers.registerEventTimeTimer(VoidNamespace.INSTANCE, last + retentionMs);
            return;
        }
        told.clear();
        heard.clear();
        atHand.remove(timer.getKey());
    }

    /** Never called: there are no timers in processing time but the flush's, which is not a key's. */
    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) {}

    private static final class Device {

        private final Attributes attributes;

        /** The greatest arrival of its events, epoch milliseconds. */
        private long heard;

        /** Whether the attributes are not what the state has. */
        private boolean told;

        Device(Attributes attributes, long heard) {
            this.attributes = attributes;
            this.heard = heard;
        }

        boolean isForgottenAt(long arrival, long retentionMs) {
            return heard != Long.MIN_VALUE && heard + retentionMs <= arrival;
        }
    }

    /** Of one group, by size, start and metric. Most events fall into the windows of the one before. */
    private static final class Windows {

        private final List<Map<Long, Map<String, Totals>>> bySize = new ArrayList<>();
        private final long[] lastStart;
        private final List<Map<String, Totals>> last = new ArrayList<>();

        Windows(int sizes) {
            lastStart = new long[sizes];
            for (int size = 0; size < sizes; size++) {
                bySize.add(new HashMap<>());
                last.add(null);
            }
        }

        Map<String, Totals> of(int size, long start) {
            Map<String, Totals> found = last.get(size);
            if (found == null || lastStart[size] != start) {
                found = bySize.get(size).computeIfAbsent(start, at -> new HashMap<>());
                last.set(size, found);
                lastStart[size] = start;
            }
            return found;
        }

        void forEach(Each each) {
            for (int size = 0; size < bySize.size(); size++) {
                int ofSize = size;
                bySize.get(size).forEach((start, totals) -> each.take(ofSize, start, totals));
            }
        }

        interface Each {
            void take(int size, long start, Map<String, Totals> totals);
        }
    }
}
