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
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Brings rules to the devices that they judge. Takes batches of {@link MicroBatch#appendType}, keyed, and the records of
 * the stream of rules, broadcast; emits batches of the same type.
 *
 * <p>Of a rule's records, JSON objects with its name as {@code rule} and a {@code version}, that of the greatest version
 * counts. When the rules have changed, the next batch has all of them in a line before its own, as a list; soon after
 * follows, for each device ever seen, a batch without lines, so that those that say nothing are judged, too. Nothing of
 * that is left undone when a checkpoint passes. After a start the rules go ahead of time: no timer is due before them.
 *
 * <p>PyFlink reaches neither the keyed state from the broadcast side nor a device that does not report.
 */
public final class RulesToDevices extends AbstractStreamOperator<Row>
        implements TwoInputStreamOperator<Row, String, Row>, ProcessingTimeCallback {

    private static final long serialVersionUID = 1L;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final MapStateDescriptor<String, String> RULES =
            new MapStateDescriptor<>("rules", Types.STRING, Types.STRING);
    private static final ValueStateDescriptor<Boolean> SEEN = new ValueStateDescriptor<>("seen", Types.BOOLEAN);
    private static final int KEY = 0;
    private static final int LINES = 1;

    private final ArrayList<String> known;
    private final long settleMs;

    private transient BroadcastState<String, String> rules;
    private transient ValueState<Boolean> seen;
    private transient Counter unreadable;
    private transient boolean toBeTold;
    private transient boolean toBeJudged;

    /**
     * Begins with the records of {@code known} rules, which the state may lack. Changes that come within {@code settleMs}
     * of each other are brought to devices together.
     */
    public RulesToDevices(List<String> known, long settleMs) {
        this.known = new ArrayList<>(known);
        this.settleMs = settleMs;
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        unreadable = Metrics.of(getMetricGroup()).counter("rulesUnreadable");
        rules = getOperatorStateBackend().getBroadcastState(RULES);
        for (String record : known) {
            toBeJudged |= take(record);
        }
        toBeTold = rules.iterator().hasNext();
    }

    @Override
    public void open() throws Exception {
        super.open();
        seen = getRuntimeContext().getState(SEEN);
        if (toBeJudged) {
            settle();
        }
    }

    @Override
    public void processElement1(StreamRecord<Row> element) throws Exception {
        if (seen.value() == null) {
            seen.update(true);
        }
        Row batch = element.getValue();
        emit((String) batch.getField(KEY), (String) batch.getField(LINES));
    }

    @Override
    public void processElement2(StreamRecord<String> element) throws Exception {
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
        return this.<Row>getKeyedStateBackend().getKeys(SEEN.getName(), VoidNamespace.INSTANCE);
    }

    private void emit(String device, String lines) {
        output.collect(new StreamRecord<>(Row.of(device, toBeTold ? all() + "\n" + lines : lines)));
        toBeTold = false;
    }

    private String all() {
        try {
            List<String> records = new ArrayList<>();
            for (Map.Entry<String, String> rule : rules.entries()) {
                records.add(rule.getValue());
            }
            return "[" + String.join(",", records) + "]";
        } catch (Exception error) {
            throw new IllegalStateException("the rules cannot be read from the state", error);
        }
    }

    /** Whether the record is of a rule, and newer than what is known of that. */
    private boolean take(String record) throws Exception {
        JsonNode rule = read(record);
        if (rule == null || !rule.path("rule").isTextual() || !rule.path("version").isIntegralNumber()) {
            unreadable.inc();
            LOG.warn("no rule: {}", record);
            return false;
        }
        String name = rule.get("rule").textValue();
        String held = rules.get(name);
        if (held != null && version(read(held)) >= version(rule)) {
            return false;
        }
        rules.put(name, rule.toString()); // on one line
        return true;
    }

    private static long version(JsonNode rule) {
        return rule.get("version").longValue();
    }

    private static JsonNode read(String record) {
        try {
            return JSON.readTree(record);
        } catch (JsonProcessingException error) {
            return null;
        }
    }
}
