package io.telefold;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.api.common.state.BroadcastState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Brings rules to the devices that they judge. Takes batches of {@link MicroBatch#appendType}, keyed, and changes of
 * rules, broadcast: rows of (rule STRING, version LONG, change STRING), which are rules whatever their JSON says, or where
 * the change is null, take what is known of a rule away. Emits {@link #type}.
 *
 * <p>Of a rule's changes that of the greatest version counts, and nothing of a greater one is taken away. When the rules have changed, the next batch has all of them
 * beside its own lines; soon after follows, for each device that is remembered, a batch without lines, so that those that
 * say nothing are judged, too. Nothing of that is left undone when a checkpoint passes. After a start the rules go ahead
 * of time: no timer is due before them.
 *
 * <p>PyFlink reaches neither the keyed state from the broadcast side nor a device that does not report.
 */
public final class RulesToDevices extends AbstractStreamOperator<Row>
        implements TwoInputStreamOperator<Row, Row, Row>, ProcessingTimeCallback {

    private static final long serialVersionUID = 1L;
    private static final MapStateDescriptor<String, Tuple2<Long, String>> RULES =
            new MapStateDescriptor<>("rules", Types.STRING, Types.TUPLE(Types.LONG, Types.STRING));
    private static final String SEEN = "seen";
    private static final int KEY = 0;
    private static final int LINES = 1;
    private static final int RULE = 0;
    private static final int VERSION = 1;
    private static final int CHANGE = 2;

    private final ArrayList<Row> known;
    private final long settleMs;
    private final long retentionMs;

    private transient BroadcastState<String, Tuple2<Long, String>> rules;
    private transient ValueState<Long> seen;
    private transient Counter devicesSeen;
    private transient boolean toBeTold;
    private transient boolean toBeJudged;

    /**
     * Begins with the {@code known} changes, which the state may lack. Changes that come within {@code settleMs} of each
     * other are brought to devices together. A device that says nothing for {@code retentionMs} is remembered no more.
     */
    public RulesToDevices(List<Row> known, long settleMs, long retentionMs) {
        this.known = new ArrayList<>(known);
        this.settleMs = settleMs;
        this.retentionMs = retentionMs;
    }

    /** (key STRING, batch (rules STRING, lines STRING)): all rules as a list in JSON, or null if they are as they were. */
    public static RowTypeInfo type() {
        RowTypeInfo batch = new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"rules", "lines"});
        return new RowTypeInfo(new TypeInformation<?>[] {Types.STRING, batch}, new String[] {"key", "batch"});
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        devicesSeen = Metrics.of(getMetricGroup()).counter("devicesSeen");
        rules = getOperatorStateBackend().getBroadcastState(RULES);
        for (Row change : known) {
            toBeJudged |= take(change);
        }
        toBeTold = rules.iterator().hasNext();
    }

    @Override
    public void open() throws Exception {
        super.open();
        ValueStateDescriptor<Long> descriptor = new ValueStateDescriptor<>(SEEN, Types.LONG);
        descriptor.enableTimeToLive(StateTtl.of(retentionMs));
        seen = getRuntimeContext().getState(descriptor);
        if (toBeJudged) {
            settle();
        }
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
        if (take(element.getValue())) {
            toBeTold = true;
            if (!toBeJudged) {
                toBeJudged = true;
                settle();
            }
        }
    }

    @Override
    public void onProcessingTime(long timestamp) throws Exception {
        judgeAll();
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        judgeAll();
    }

    @Override
    public void processWatermark1(Watermark mark) throws Exception {
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

    private void settle() {
        getProcessingTimeService()
                .registerTimer(getProcessingTimeService().getCurrentProcessingTime() + settleMs, this);
    }

    private void judgeAll() {
        if (toBeJudged) {
            toBeJudged = false;
            try (Stream<Row> devices = devices()) {
                devices.forEach(device -> emit((String) device.getField(KEY), ""));
            }
        }
    }

    private Stream<Row> devices() {
        return this.<Row>getKeyedStateBackend().getKeys(SEEN, VoidNamespace.INSTANCE);
    }

    private void emit(String device, String lines) {
        output.collect(new StreamRecord<>(Row.of(device, Row.of(toBeTold ? all() : null, lines))));
        toBeTold = false;
    }

    private String all() {
        try {
            List<String> changes = new ArrayList<>();
            for (Map.Entry<String, Tuple2<Long, String>> rule : rules.entries()) {
                changes.add(rule.getValue().f1);
            }
            return "[" + String.join(",", changes) + "]";
        } catch (Exception error) {
            throw new IllegalStateException("the rules cannot be read from the state", error);
        }
    }

    /** Whether the change is newer than what is known of its rule. */
    private boolean take(Row row) throws Exception {
        String rule = (String) row.getField(RULE);
        long version = ((Number) row.getField(VERSION)).longValue();
        String change = (String) row.getField(CHANGE);
        Tuple2<Long, String> held = rules.get(rule);
        if (change == null) {
            boolean isKnown = held != null && held.f0 <= version;
            if (isKnown) {
                rules.remove(rule);
            }
            return isKnown;
        }
        if (held != null && held.f0 >= version) {
            return false;
        }
        rules.put(rule, Tuple2.of(version, change));
        return true;
    }
}
