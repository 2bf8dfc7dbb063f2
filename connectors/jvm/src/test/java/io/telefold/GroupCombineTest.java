package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GroupCombineTest {

    private static final long DAY_MS = 86_400_000;
    private static final int GROUP = 0;
    private static final int COUNT = 3;
    private static final int TOTAL = 4;

    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness;
    private long sequence;
    private String id = "e";

    @BeforeEach
    void start() throws Exception {
        start(null);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void start(OperatorSubtaskState state) throws Exception {
        harness = new KeyedOneInputStreamOperatorTestHarness<>(
                new GroupCombine(List.of("site", "model"), 60_000, 1_000, 1_000, DAY_MS), new DeviceKey(), Types.STRING);
        harness.setup();
        if (state != null) {
            harness.initializeState(state);
        }
        harness.open();
    }

    private void event(String device, long at, double value, String... attributes) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (int i = 0; i < attributes.length; i += 2) {
            told.put(attributes[i], attributes[i + 1]);
        }
        Row row = new Row(EventRow.type().getArity());
        row.setField(EventRow.EVENT_ID, id);
        row.setField(EventRow.DEVICE_ID, device);
        row.setField(EventRow.EVENT_TIME, at);
        row.setField(EventRow.SEQUENCE, sequence++);
        row.setField(EventRow.METRICS, Double.isNaN(value) ? Map.of() : Map.of("t", value));
        row.setField(EventRow.ATTRIBUTES, told);
        harness.processElement(row, at);
    }

    /** Group to count and sum of what was flushed. */
    private Map<String, String> flushed() throws Exception {
        harness.prepareSnapshotPreBarrier(1);
        Map<String, String> found = harness.extractOutputValues().stream()
                .collect(Collectors.toMap(
                        row -> (String) row.getField(GROUP), row -> row.getField(COUNT) + " " + row.getField(TOTAL)));
        harness.getOutput().clear();
        return found;
    }

    @Test
    void readingsOfAllDevicesOfAGroupAreOnePartial() throws Exception {
        event("a", 1, 1.0, "site", "x", "model", "m", "colour", "red");
        event("b", 2, 2.0, "site", "x");
        event("c", 3, 4.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "3 7.0", "site#x", "2 3.0", "model#m", "1 1.0"));
    }

    @Test
    void whatADeviceToldLastStaysAndIsNotUndoneByALateEvent() throws Exception {
        event("a", 10, Double.NaN, "site", "x");
        event("a", 20, 1.0, "site", "y");
        event("a", 15, 1.0, "site", "x");
        event("a", 30, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "3 3.0", "site#y", "3 3.0"));
    }

    @Test
    void ofOneTimeAndSequenceTheGreaterEventIdCounts() throws Exception {
        for (String[] told : new String[][] {{"b", "x"}, {"c", "y"}, {"a", "z"}}) {
            sequence = 7;
            id = told[0];
            event("a", 10, Double.NaN, "site", told[1]);
        }
        event("a", 30, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0", "site#y", "1 1.0"));
    }

    @Test
    void itIsKnownAfterARestart() throws Exception {
        event("a", 10, 1.0, "site", "x");
        flushed();
        OperatorSubtaskState state = harness.snapshot(1, 1);
        harness.close();
        start(state);
        event("a", 20, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0", "site#x", "1 1.0"));
    }

    private void at(long time) throws Exception {
        harness.setProcessingTime(time);
        harness.setStateTtlProcessingTime(time);
    }

    private void restart() throws Exception {
        flushed();
        OperatorSubtaskState state = harness.snapshot(1, 1);
        harness.close();
        start(state);
    }

    @Test
    void itIsKnownAsLongAsTheDeviceReports() throws Exception {
        event("a", 10, 1.0, "site", "x");
        for (int day = 1; day <= 3; day++) {
            restart();
            at(day * DAY_MS);
            event("a", 20, 1.0);
        }
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0", "site#x", "1 1.0"));
    }

    @Test
    void aDeviceThatSaysNothingIsForgotten() throws Exception {
        event("a", 10, 1.0, "site", "x");
        restart();
        at(2 * DAY_MS);
        event("a", 20, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0"));
    }
}
