package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.telefold.CapturedMetrics;
import io.telefold.event.DeviceKey;
import io.telefold.event.Event;
import io.telefold.view.RowLines;
import io.telefold.view.Unpacked;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.apache.flink.util.OutputTag;

/** A {@link DeviceFold} in Flink's harness: what it put out, and what it remembers of each device. */
@SuppressWarnings("try") // it closes with any exception, as Flink's harness does
public final class FoldHarness implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrimitiveArrayTypeInfo<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

    private final KeyedOneInputStreamOperatorTestHarness<String, Event, Row> harness;
    private int checkpoints;

    private FoldHarness(KeyedOneInputStreamOperatorTestHarness<String, Event, Row> harness) {
        this.harness = harness;
    }

    /** Opens a copy of {@code fold} at {@code now}; {@code snapshot} is null for a first start. */
    static FoldHarness open(
            DeviceFold fold, StateBackend backend, CapturedMetrics metrics, long now, OperatorSubtaskState snapshot)
            throws Exception {
        KeyedOneInputStreamOperatorTestHarness<String, Event, Row> harness =
                new KeyedOneInputStreamOperatorTestHarness<>(
                        InstantiationUtil.clone(fold), new DeviceKey(), Types.STRING, metrics.environment());
        harness.setStateBackend(backend);
        harness.getExecutionConfig()
                .configure(
                        new Configuration().set(PipelineOptions.GENERIC_TYPES, false),
                        FoldHarness.class.getClassLoader());
        harness.setup(RowLines.batchType()
                .createSerializer(harness.getExecutionConfig().getSerializerConfig()));
        harness.setProcessingTime(now);
        if (snapshot != null) {
            harness.initializeState(snapshot);
        }
        harness.open();
        return new FoldHarness(harness);
    }

    @Override
    public void close() throws Exception {
        harness.close();
    }

    void process(Event... rows) {
        process(Arrays.asList(rows));
    }

    void process(Collection<Event> rows) {
        try {
            for (Event event : rows) {
                harness.processElement(new StreamRecord<>(event));
            }
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** Whatever arrived by {@code time} has been read. */
    void setTime(long time) throws Exception {
        harness.processWatermark(new Watermark(time));
    }

    /** Goes on to {@code now} and calls the timers that are due. */
    void setProcessingTime(long now) throws Exception {
        harness.setProcessingTime(now);
    }

    void flush() throws Exception {
        harness.prepareSnapshotPreBarrier(++checkpoints);
    }

    /** What a checkpoint at this point holds; nothing if no barrier comes before it. */
    OperatorSubtaskState snapshot() throws Exception {
        flush();
        return harness.snapshot(checkpoints, checkpoints);
    }

    void finish() throws Exception {
        harness.getOneInputOperator().finish();
    }

    int deviceTimers() {
        return harness.numEventTimeTimers();
    }

    /** The events that were folded. */
    List<Event> acceptedEvents() {
        return sideOutput(DeviceFold.accepted());
    }

    /** Device and event_id of those that were folded. */
    List<String> accepted() {
        return names(acceptedEvents());
    }

    /** Those that came too late, or with too many names. */
    List<Event> late() {
        return sideOutput(DeviceFold.setAside());
    }

    List<String> decisions() {
        List<String> decisions = new ArrayList<>();
        accepted().forEach(name -> decisions.add("accepted " + name));
        names(late()).forEach(name -> decisions.add("set aside " + name));
        return decisions;
    }

    private static List<String> names(List<Event> rows) {
        return rows.stream().map(row -> row.deviceId + "/" + row.eventId).collect(Collectors.toList());
    }

    private List<Event> sideOutput(OutputTag<Event> tag) {
        Queue<StreamRecord<Event>> rows = harness.getSideOutput(tag);
        return rows == null
                ? List.of()
                : rows.stream().map(StreamRecord::getValue).collect(Collectors.toList());
    }

    /** The batches as they left. */
    List<Row> batches() {
        return harness.extractOutputValues();
    }

    /** The lines of all batches as they left. */
    List<JsonNode> lines() throws IOException {
        List<JsonNode> lines = new ArrayList<>();
        for (Row batch : batches()) {
            for (String line : ((String) batch.getField(1)).split("\n")) {
                lines.add(JSON.readTree(line));
            }
        }
        return lines;
    }

    /** The rows of all batches that had changed, as they left. */
    List<JsonNode> rows() throws IOException {
        List<JsonNode> rows = new ArrayList<>();
        lines().forEach(line -> rows.addAll(Unpacked.changed(line)));
        return rows;
    }

    /** The {@link #rows}, and forgets the batches. */
    List<JsonNode> takeRows() throws IOException {
        List<JsonNode> rows = rows();
        harness.getOutput().clear();
        return rows;
    }

    /** Of each of {@code rows} the newest state, as a store keeps it, by partition and sort key. */
    public static Map<String, JsonNode> stored(Collection<JsonNode> rows) {
        Map<String, JsonNode> stored = new HashMap<>();
        for (JsonNode row : rows) {
            stored.merge(
                    row.get("partition").textValue() + " " + row.get("sort").textValue(),
                    row,
                    (held, next) -> next.get("version").longValue()
                                    >= held.get("version").longValue()
                            ? next
                            : held);
        }
        return stored;
    }

    /** The rows are the same, but for the last digits of sums and deviations, which depend on how they were reckoned. */
    static void assertAlike(Map<String, JsonNode> found, Map<String, JsonNode> expected) {
        assertThat(found).hasSameSizeAs(expected);
        expected.forEach((key, row) -> {
            ObjectNode other = found.get(key).deepCopy();
            ObjectNode copy = row.deepCopy();
            for (String name : List.of("m2", "sum", "increase")) {
                JsonNode number = ((ObjectNode) copy.get("data")).remove(name);
                JsonNode otherNumber = ((ObjectNode) other.get("data")).remove(name);
                if (number != null) {
                    double value = number.doubleValue();
                    assertThat(otherNumber.doubleValue())
                            .as("%s of %s", name, key)
                            .isCloseTo(value, within(1e-9 * Math.abs(value) + 1e-12));
                }
            }
            assertThat(other).isEqualTo(copy);
        });
    }

    /** Copies of the rows with deviations to six digits: further ones depend on how they were reckoned. */
    static List<JsonNode> rounded(Collection<JsonNode> rows) {
        return rows.stream()
                .map(row -> {
                    JsonNode copy = row.deepCopy();
                    JsonNode m2 = copy.get("data").get("m2");
                    if (m2 != null) {
                        ((ObjectNode) copy.get("data")).put("m2", String.format("%.5e", m2.doubleValue()));
                    }
                    return copy;
                })
                .collect(Collectors.toList());
    }

    /** The event ids that are remembered of a device once it is flushed; none may wait for others of its chunk. */
    Set<String> ids(String device) throws Exception {
        flush();
        MapState<Long, byte[]> chunks = state(device, new MapStateDescriptor<>("id-chunks", Types.LONG, BYTES));
        Set<String> names = new TreeSet<>();
        for (byte[] chunk : chunks.values()) {
            names.addAll(EventIds.idsOf(chunk));
        }
        MapState<String, Long> entries = state(device, new MapStateDescriptor<>("ids", Types.STRING, Types.LONG));
        entries.keys().forEach(names::add);
        return names;
    }

    /** The starts of the windows before the current one that are kept of a device. */
    Set<Long> earlierWindows(String device, String size) throws Exception {
        String name = "windows-of-" + size;
        MapState<Long, byte[]> windows = state(device, new MapStateDescriptor<>(name, Types.LONG, BYTES));
        Set<Long> starts = new TreeSet<>();
        windows.keys().forEach(starts::add);
        return starts;
    }

    /** What is kept of a device besides, null if nothing. */
    byte[] kept(String device) throws Exception {
        return state(device).value();
    }

    void keep(String device, byte[] kept) throws Exception {
        state(device).update(kept);
    }

    private ValueState<byte[]> state(String device) throws Exception {
        return state(device, new ValueStateDescriptor<>("device", (TypeInformation<byte[]>) BYTES));
    }

    private <S extends State> S state(String device, StateDescriptor<S, ?> descriptor) throws Exception {
        KeyedStateBackend<String> backend = ((AbstractStreamOperator<?>) harness.getOperator()).getKeyedStateBackend();
        backend.setCurrentKey(device);
        return backend.getPartitionedState(VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
    }
}
