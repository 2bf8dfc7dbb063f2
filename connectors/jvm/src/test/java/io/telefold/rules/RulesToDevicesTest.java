package io.telefold.rules;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Collectors;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedTwoInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RulesToDevicesTest {

    private static final long DAY_MS = 86_400_000;
    private static final long SETTLE_MS = 300;
    private static final Row HOT_1 = Row.of("hot", 1L, "{\"rule\":\"hot\",\"version\":1}");
    private static final Row HOT_2 = Row.of("hot", 2L, "{\"rule\":\"hot\",\"version\":2}");
    private static final Row COLD_1 = Row.of("cold", 1L, "{\"rule\":\"cold\",\"version\":1}");
    private static final String HOT_1_ALONE = "[{\"rule\":\"hot\",\"version\":1}]";
    private static final String HOT_2_ALONE = "[{\"rule\":\"hot\",\"version\":2}]";
    private static final String BOTH = "[{\"rule\":\"hot\",\"version\":1},{\"rule\":\"hot\",\"version\":2}]";

    private KeyedTwoInputStreamOperatorTestHarness<Row, Row, Row, Row> harness;

    @BeforeEach
    void start() throws Exception {
        start(null);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void start(OperatorSubtaskState state, Row... known) throws Exception {
        KeySelector<Row, Row> key = batch -> Row.of(batch.getField(0));
        harness = new KeyedTwoInputStreamOperatorTestHarness<>(
                new RulesToDevices(List.of(known), SETTLE_MS, DAY_MS),
                key,
                null,
                new RowTypeInfo(new TypeInformation<?>[] {Types.STRING}));
        harness.setup();
        if (state != null) {
            harness.initializeState(state);
        }
        harness.open();
    }

    private OperatorSubtaskState stop() throws Exception {
        harness.getOperator().prepareSnapshotPreBarrier(1);
        OperatorSubtaskState state = harness.snapshot(1, 1);
        harness.close();
        return state;
    }

    private void batch(String device, String lines) throws Exception {
        harness.processElement1(new StreamRecord<>(Row.of(device, lines)));
    }

    private void mark(long time) throws Exception {
        harness.processWatermark1(new Watermark(time));
    }

    private void rule(Row change) throws Exception {
        harness.processElement2(new StreamRecord<>(change));
    }

    /** What came out since the last call, as {@code device:lines} or {@code device:rules:lines}; {@code @time} for no lines. */
    private List<String> out() {
        List<String> rows = harness.getOutput().stream()
                .filter(StreamRecord.class::isInstance)
                .map(record -> (Row) ((StreamRecord<?>) record).getValue())
                .map(RulesToDevicesTest::text)
                .collect(Collectors.toList());
        harness.getOutput().clear();
        return rows;
    }

    private static String text(Row row) {
        Row batch = (Row) row.getField(1);
        String rules = batch.getField(0) == null ? "" : batch.getField(0) + ":";
        String lines = (String) batch.getField(1);
        return row.getField(0) + ":" + rules + (lines.isEmpty() ? "@" + batch.getField(2) : lines);
    }

    @Test
    void withoutRulesBatchesPassAsTheyAre() throws Exception {
        batch("a", "1\n2");
        assertThat(out()).containsExactly("a:1\n2");
    }

    @Test
    void theNextBatchHasTheRulesAndThoseAfterItHaveNone() throws Exception {
        rule(HOT_1);
        batch("a", "1");
        batch("b", "2");
        assertThat(out()).containsExactly("a:" + HOT_1_ALONE + ":1", "b:2");
    }

    @Test
    void everyDeviceEverSeenIsToldOnceTheLogHasComeToWhereARuleIsInForce() throws Exception {
        batch("a", "1");
        batch("b", "1");
        batch("a", "2");
        out();
        rule(HOT_1);
        rule(COLD_1);
        batch("a", "3");
        assertThat(out()).singleElement().asString().matches("a:\\[.*(hot.*cold|cold.*hot).*\\]:3");
        mark(1 + SETTLE_MS - 1);
        assertThat(out()).isEmpty();
        mark(1 + SETTLE_MS + 5);
        assertThat(out()).containsExactlyInAnyOrder("a:@306", "b:@306");
        mark(10_000);
        assertThat(out()).isEmpty();
    }

    @Test
    void allChangesOfARuleAreToldEachOnce() throws Exception {
        rule(HOT_2);
        rule(HOT_1);
        batch("a", "1");
        assertThat(out()).containsExactly("a:" + BOTH + ":1");
        rule(HOT_2);
        batch("a", "2");
        assertThat(out()).containsExactly("a:2");
        mark(2 + SETTLE_MS);
        assertThat(out()).containsExactly("a:@302");
    }

    @Test
    void ofMoreChangesThanAreKeptTheOldestGo() throws Exception {
        for (int version = 1; version <= 102; version++) {
            rule(Row.of("hot", (long) version, "" + version));
        }
        rule(Row.of("hot", 1L, "1"));
        batch("a", "1");
        String told = out().get(0);
        assertThat(told)
                .startsWith("a:[")
                .contains("3,")
                .contains("102")
                .doesNotContain("[2,")
                .doesNotContain(",2,");
        assertThat(told.split(",")).hasSize(100);
    }

    @Test
    void aChangeThatComesLateIsToldAtTheNextMark() throws Exception {
        batch("a", "1");
        mark(5_000);
        out();
        rule(HOT_1);
        mark(5_001);
        assertThat(out()).containsExactly("a:" + HOT_1_ALONE + ":@5001");
    }

    @Test
    void aRuleCanBeForgotten() throws Exception {
        rule(HOT_1);
        rule(COLD_1);
        rule(Row.of("cold", 1L, null));
        rule(Row.of("never heard of", 1L, null));
        batch("a", "1");
        assertThat(out()).containsExactly("a:" + HOT_1_ALONE + ":1");
    }

    @Test
    void aDeviceThatSaysNothingIsRememberedForAsLongAsDevicesAre() throws Exception {
        batch("a", "1");
        batch("b", "1");
        at(DAY_MS);
        batch("b", "2");
        at(DAY_MS + DAY_MS / 2);
        for (int i = 0; i < 50; i++) { // Flink looks for what is over at every access, at a few entries
            batch("b", "" + i);
        }
        out();
        rule(HOT_1);
        mark(5_000);
        assertThat(out()).containsExactly("b:" + HOT_1_ALONE + ":@5000");
    }

    private void at(long time) throws Exception {
        harness.setProcessingTime(time);
        harness.setStateTtlProcessingTime(time);
    }

    @Test
    void noDeviceIsLeftUntoldByARestart() throws Exception {
        batch("a", "1");
        mark(100);
        rule(HOT_1);
        start(stop());
        mark(200);
        assertThat(out()).containsExactly("a:" + HOT_1_ALONE + ":@200");
        mark(1 + SETTLE_MS);
        assertThat(out()).containsExactly("a:@301");
    }

    @Test
    void afterARestartTheRulesGoAheadOfTimeAndDevicesAreNotToldAgain() throws Exception {
        batch("a", "1");
        rule(HOT_1);
        mark(5_000);
        start(stop());
        harness.processWatermark1(new Watermark(5_001));
        assertThat(harness.getOutput()).last().isEqualTo(new Watermark(5_001));
        assertThat(out()).containsExactly("a:" + HOT_1_ALONE + ":@5001");
        batch("b", "1");
        mark(6_000);
        assertThat(out()).containsExactly("b:1");
    }

    @Test
    void afterARestartDevicesAreToldOfRulesThatCameMeanwhile() throws Exception {
        batch("a", "1");
        rule(HOT_1);
        mark(5_000);
        start(stop(), HOT_1, HOT_2);
        mark(5_001);
        assertThat(out()).containsExactly("a:" + BOTH + ":@5001");
        mark(5_002);
        assertThat(out()).isEmpty();
    }

    @Test
    void timeIsThatOfTheEventsAlone() throws Exception {
        harness.processWatermark2(new Watermark(9));
        assertThat(harness.getOutput()).isEmpty();
        harness.processWatermark1(new Watermark(5));
        assertThat(harness.getOutput()).containsExactly(new Watermark(5));
    }

    @Test
    void whatWasTakenAwayIsOfItsVersionAndThoseBefore() throws Exception {
        rule(HOT_1);
        rule(HOT_2);
        rule(Row.of("hot", 1L, null));
        batch("a", "1");
        assertThat(out()).containsExactly("a:" + HOT_2_ALONE + ":1");
        rule(Row.of("hot", 2L, null));
        batch("a", "2");
        assertThat(out()).containsExactly("a:[]:2");
    }
}
