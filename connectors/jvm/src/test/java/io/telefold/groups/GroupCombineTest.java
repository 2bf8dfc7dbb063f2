package io.telefold.groups;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.DeviceKey;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.DeviceViews;
import io.telefold.view.Totals;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GroupCombineTest {

    private static final long MINUTE = 60_000;
    private static final long DAY_MS = 86_400_000;
    private static final long KEPT = 7 * DAY_MS;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private KeyedOneInputStreamOperatorTestHarness<String, Event, Row> harness;
    private long sequence;
    private long arrival;
    private String type = "telemetry";

    @BeforeEach
    void start() throws Exception {
        start(null);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void start(OperatorSubtaskState state) throws Exception {
        DeviceViews views = GroupRollupsTest.views(KEPT / 1_000, "1m");
        GroupCombine combine = new GroupCombine(List.of("site", "model"), views, KEPT, DAY_MS, 1_000, 1_000);
        harness = new KeyedOneInputStreamOperatorTestHarness<>(
                InstantiationUtil.clone(combine), new DeviceKey(), Types.STRING, metrics.environment());
        harness.setup();
        if (state != null) {
            harness.initializeState(state);
        }
        harness.open();
    }

    private void restart() throws Exception {
        flushed();
        OperatorSubtaskState state = harness.snapshot(1, 1);
        harness.close();
        start(state);
    }

    private void event(String device, long at, double value, String... attributes) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (int i = 0; i < attributes.length; i += 2) {
            told.put(attributes[i], attributes[i + 1]);
        }
        boolean isSilent = Double.isNaN(value);
        Event event = Events.event(device, "e", at, sequence++, isSilent ? Map.of() : Map.of("t", value));
        event.type = type;
        event.attributes = told;
        event.arrival = arrival;
        event.increases = isSilent ? new double[0] : new double[] {0.5};
        harness.processElement(event, at);
    }

    /** Group to count and sum of what was flushed. */
    private Map<String, String> flushed() throws Exception {
        harness.prepareSnapshotPreBarrier(1);
        Map<String, String> found = new TreeMap<>();
        for (Row row : harness.extractOutputValues()) {
            Totals totals = PartialRow.totals(row);
            String group = PartialRow.parts(PartialRow.key(row))[3];
            assertThat(found.put(group, totals.count + " " + totals.sum)).isNull();
            assertThat(totals.increase).isEqualTo(totals.count * 0.5);
        }
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

    /** By the cases to which {@code operators/folds/lifecycle.py} is held. */
    @Test
    void attributesAreKnownByTheRuleOfAllFolds() throws Exception {
        Path file = Path.of(System.getProperty("golden.directory"), "attributes.json");
        JsonNode cases = new ObjectMapper().readTree(file.toFile());
        assertThat(cases).hasSizeGreaterThan(5);
        for (JsonNode each : cases) {
            Attributes attributes = new Attributes();
            for (JsonNode event : each.get("events")) {
                Map<String, String> told = new HashMap<>();
                event.get("attributes")
                        .fields()
                        .forEachRemaining(
                                one -> told.put(one.getKey(), one.getValue().textValue()));
                attributes.tell(
                        List.of("site", "model"),
                        event.get("type").textValue(),
                        event.get("event_time").longValue(),
                        event.get("sequence").longValue(),
                        event.get("event_id").textValue(),
                        told);
                attributes = Attributes.of(attributes.toBytes());
            }
            TreeMap<String, String> known = new TreeMap<>();
            each.get("known")
                    .fields()
                    .forEachRemaining(one -> known.put(
                            one.getKey(), one.getKey() + "#" + one.getValue().textValue()));
            assertThat(attributes.groups()).as(each.get("name").textValue()).containsExactlyElementsOf(known.values());
        }
    }

    @Test
    void aLateEventIsOfTheGroupThatTheDeviceIsIn() throws Exception {
        event("a", 10, Double.NaN, "site", "x");
        event("a", 20, 1.0, "site", "y");
        event("a", 15, 1.0, "site", "x");
        event("a", 30, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "3 3.0", "site#y", "3 3.0"));
    }

    @Test
    void anAcknowledgementIsNotOfTheDevice() throws Exception {
        type = "alert_acknowledged";
        event("a", 10, 1.0, "site", "x");
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0"));
    }

    @Test
    void itIsKnownAfterARestart() throws Exception {
        event("a", 10, 1.0, "site", "x");
        restart();
        event("a", 20, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0", "site#x", "1 1.0"));
    }

    /** Whatever the machine's clock says, and whether a restart lies between or not. */
    @Test
    void itIsKnownAsLongAsTheDeviceIsHeardWithinTheRetention() throws Exception {
        event("a", 10, 1.0, "site", "x");
        for (int day = 1; day <= 6; day++) {
            if (day % 2 == 0) {
                restart();
            }
            harness.setProcessingTime(1_000 * day * DAY_MS);
            harness.setStateTtlProcessingTime(1_000 * day * DAY_MS);
            arrival += DAY_MS - 1;
            harness.processWatermark(new Watermark(arrival - 1));
            flushed();
            event("a", 20, 1.0);
        }
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0", "site#x", "1 1.0"));
    }

    @Test
    void aDeviceThatIsHeardAfterTheRetentionIsOfAllAlone() throws Exception {
        event("a", 10, 1.0, "site", "x");
        event("b", 10, 1.0, "site", "x");
        restart();
        arrival = DAY_MS;
        event("a", 20, 1.0);
        restart();
        event("a", 21, 1.0);
        event("b", 20, 1.0, "model", "m");
        assertThat(flushed()).isEqualTo(Map.of("all", "2 2.0", "model#m", "1 1.0"));
    }

    /** Its state goes by the time of the log; whoever is heard meanwhile is put off. */
    @Test
    void whatIsKnownOfASilentDeviceIsForgotten() throws Exception {
        event("a", 10, 1.0, "site", "x");
        event("b", 10, 1.0, "site", "x");
        event("c", 10, 1.0);
        flushed();
        arrival = DAY_MS / 2;
        event("b", 11, 1.0);
        flushed();
        assertThat(harness.numKeyedStateEntries()).isEqualTo(4);
        harness.processWatermark(new Watermark(DAY_MS));
        assertThat(harness.numKeyedStateEntries()).isEqualTo(2);
        harness.processWatermark(new Watermark(DAY_MS / 2 + DAY_MS));
        assertThat(harness.numKeyedStateEntries()).isZero();
        assertThat(harness.numEventTimeTimers()).isZero();
        event("b", 12, 1.0);
        flushed();
    }

    /** Its row may be forgotten by now, and would begin anew over one that knows more. */
    @Test
    void whatArrivesWhenTheRowsOfItsWindowHaveEndedIsLeftOutAndCounted() throws Exception {
        arrival = MINUTE + KEPT - 1;
        event("a", 10, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0"));
        arrival = MINUTE + KEPT;
        event("a", MINUTE - 1, 1.0);
        assertThat(flushed()).isEmpty();
        assertThat(metrics.count("contributionsLeftOut")).isEqualTo(1);
        event("a", MINUTE, 1.0);
        assertThat(flushed()).isEqualTo(Map.of("all", "1 1.0"));
    }
}
