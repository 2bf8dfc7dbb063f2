package io.telefold.rules;

import io.telefold.Metrics;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.flink.api.common.state.BroadcastState;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Brings rules to the devices that they judge. Takes batches of {@code MicroBatch.appendType}, keyed, and changes of
 * rules, broadcast: rows of (rule STRING, version LONG, change STRING), which are rules whatever their JSON says, or where
 * the change is null, take what is known of a rule up to that version away. Emits {@link #type}.
 *
 * <p>Of each rule the newest {@link #CHANGES_KEPT} changes are known. When one has come, the next batch has all of them beside
 * its own lines, and they go ahead of time: no timer is due before them. A change is in force for what is heard {@code settleMs} after
 * its version or later. Once the time of the log, which is the watermark, has come to that, a batch without lines follows for
 * each device that is remembered, so that those that say nothing are judged, too; also if that is late, and after a restart.
 *
 * <p>PyFlink reaches neither the keyed state from the broadcast side nor a device that does not report.
 */
public final class RulesToDevices extends AbstractStreamOperator<Row> implements TwoInputStreamOperator<Row, Row, Row> {

    private static final long serialVersionUID = 2L;
    /** As {@code schemas.rules.CHANGES_KEPT}. */
    private static final int CHANGES_KEPT = 100;

    private static final MapStateDescriptor<String, Map<Long, String>> RULES =
            new MapStateDescriptor<>("rule-changes", Types.STRING, Types.MAP(Types.LONG, Types.STRING));
    private static final ListStateDescriptor<Long> TOLD_UP_TO = new ListStateDescriptor<>("told-up-to", Types.LONG);
    private static final String SEEN = "seen";
    private static final int KEY = 0;
    private static final int LINES = 1;
    private static final int RULE = 0;
    private static final int VERSION = 1;
    private static final int CHANGE = 2;

    private final ArrayList<Row> known;
    private final long settleMs;
    private final long retentionMs;

    private transient BroadcastState<String, Map<Long, String>> rules;
    private transient ListState<Long> toldUpTo;
    private transient ValueState<Long> seen;
    private transient Counter devicesSeen;
    private transient boolean toBeTold;
    /** When changes come into force of which not all devices were told. */
    private transient TreeSet<Long> pending;
    /** The time of the log. */
    private transient long time;

    /**
     * Begins with the {@code known} changes, which the state may lack. A device that says nothing for {@code retentionMs}
     * is remembered no more.
     */
    public RulesToDevices(List<Row> known, long settleMs, long retentionMs) {
        this.known = new ArrayList<>(known);
        this.settleMs = settleMs;
        this.retentionMs = retentionMs;
    }

    /**
     * (key STRING, batch (rules STRING, lines STRING, at LONG)): all changes as a list in JSON, or null if they are as they
     * were; the time of the log.
     */
    public static RowTypeInfo type() {
        RowTypeInfo batch = new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING, Types.LONG},
                new String[] {"rules", "lines", "at"});
        return new RowTypeInfo(new TypeInformation<?>[] {Types.STRING, batch}, new String[] {"key", "batch"});
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        devicesSeen = Metrics.of(getMetricGroup()).counter("devicesSeen");
        rules = getOperatorStateBackend().getBroadcastState(RULES);
        toldUpTo = getOperatorStateBackend().getUnionListState(TOLD_UP_TO);
        time = Watermark.UNINITIALIZED.getTimestamp();
        pending = new TreeSet<>();
        long told = Long.MAX_VALUE;
        for (long one : toldUpTo.get()) {
            told = Math.min(told, one);
        }
        for (Map.Entry<String, Map<Long, String>> rule : rules.entries()) {
            for (long version : rule.getValue().keySet()) {
                if (version + settleMs > told) {
                    pending.add(version + settleMs);
                }
            }
        }
        for (Row change : known) {
            take(change);
        }
        toBeTold = rules.iterator().hasNext();
    }

    /** Tasks may have been told up to different times: after a restart, perhaps as others, all of them begin with the least. */
    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        toldUpTo.update(List.of(pending.isEmpty() ? time : Math.min(time, pending.first() - 1)));
    }

    @Override
    public void open() throws Exception {
        super.open();
        ValueStateDescriptor<Long> descriptor = new ValueStateDescriptor<>(SEEN, Types.LONG);
        descriptor.enableTimeToLive(StateTtl.of(retentionMs));
        seen = getRuntimeContext().getState(descriptor);
    }

    @Override
    public void processElement1(StreamRecord<Row> element) throws Exception {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        Long before = seen.value();
        if (before == null) {
            devicesSeen.inc();
        }
        if (before == null || StateTtl.isDue(before, now, retentionMs)) {
            seen.update(now);
        }
        Row batch = element.getValue();
        emit((String) batch.getField(KEY), (String) batch.getField(LINES));
    }

    @Override
    public void processElement2(StreamRecord<Row> element) throws Exception {
        toBeTold |= take(element.getValue());
    }

    @Override
    public void processWatermark1(Watermark mark) throws Exception {
        time = mark.getTimestamp();
        if (!pending.isEmpty() && pending.first() <= time) {
            pending.headSet(time, true).clear();
            try (Stream<Row> devices = devices()) {
                devices.forEach(device -> emit((String) device.getField(KEY), ""));
            }
        }
        if (toBeTold) {
            try (Stream<Row> devices = devices()) {
                devices.findFirst().ifPresent(device -> emit((String) device.getField(KEY), ""));
            }
        }
        processWatermark(mark);
    }

    /** Rules are of no time. */
    @Override
    public void processWatermark2(Watermark mark) {}

    private Stream<Row> devices() {
        return this.<Row>getKeyedStateBackend().getKeys(SEEN, VoidNamespace.INSTANCE);
    }

    private void emit(String device, String lines) {
        output.collect(new StreamRecord<>(Row.of(device, Row.of(toBeTold ? all() : null, lines, time))));
        toBeTold = false;
    }

    private String all() {
        try {
            List<String> changes = new ArrayList<>();
            for (Map.Entry<String, Map<Long, String>> rule : rules.entries()) {
                changes.addAll(rule.getValue().values());
            }
            return "[" + String.join(",", changes) + "]";
        } catch (Exception error) {
            throw new IllegalStateException("the rules cannot be read from the state", error);
        }
    }

    /** Whether that changes what is known. */
    private boolean take(Row row) throws Exception {
        String rule = (String) row.getField(RULE);
        long version = ((Number) row.getField(VERSION)).longValue();
        String change = (String) row.getField(CHANGE);
        Map<Long, String> held = rules.get(rule);
        TreeMap<Long, String> changes = held == null ? new TreeMap<>() : new TreeMap<>(held);
        if (change == null) {
            changes.headMap(version, true).clear();
        } else {
            changes.putIfAbsent(version, change);
            if (changes.size() > CHANGES_KEPT) {
                changes.pollFirstEntry();
            }
        }
        if (changes.equals(held) || (changes.isEmpty() && held == null)) {
            return false;
        }
        if (changes.containsKey(version)) {
            pending.add(version + settleMs);
        }
        if (changes.isEmpty()) {
            rules.remove(rule);
        } else {
            rules.put(rule, new HashMap<>(changes));
        }
        return true;
    }
}
