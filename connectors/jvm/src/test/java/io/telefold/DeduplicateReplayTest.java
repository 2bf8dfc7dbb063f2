package io.telefold;

import static io.telefold.DeduplicateTest.accepted;
import static io.telefold.DeduplicateTest.ids;
import static io.telefold.DeduplicateTest.late;
import static io.telefold.DeduplicateTest.process;
import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Late and corrected events when a log is folded again: within the cut and beyond it. */
class DeduplicateReplayTest {

    private static final long HORIZON = 8_000;
    private static final long LATENESS = 5_000;
    private static final long RETENTION = 100_000;
    private static final long WINDOW = 60_000;
    private static final long NOW = 1_000;
    private static final Cut CUT = Cut.of(Map.of("shardId-000000000000", "999"));

    private final CapturedMetrics metrics = new CapturedMetrics();
    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        harness = harness(Corrections.none(), null);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness(
            Corrections corrections, OperatorSubtaskState snapshot) throws Exception {
        KeyedOneInputStreamOperatorTestHarness<String, Row, Row> opened = new KeyedOneInputStreamOperatorTestHarness<>(
                new KeyedProcessOperator<>(
                        new Deduplicate(HORIZON, LATENESS, RETENTION, WINDOW, CUT, corrections)),
                new DeviceKey(),
                Types.STRING,
                metrics.environment());
        opened.getExecutionConfig().disableGenericTypes();
        opened.setup(EventRow.type().createSerializer(opened.getExecutionConfig()));
        opened.setProcessingTime(NOW);
        if (snapshot != null) {
            opened.initializeState(snapshot);
        }
        opened.open();
        return opened;
    }

    @Test
    void withinTheCutNothingIsTooLate() throws Exception {
        process(harness, within("d", "new", T));
        process(harness, within("d", "late", T - 1_000_000_000));
        process(harness, within("d", "newer", T + 1));
        assertThat(accepted(harness)).containsExactly("d/new", "d/late", "d/newer");
        assertThat(late(harness)).isEmpty();
    }

    @Test
    void aDuplicateWithinTheCutIsFoundHoweverLateItIs() throws Exception {
        process(harness, within("d", "1", T));
        for (int i = 0; i < 20; i++) {
            process(harness, within("d", "step " + i, T + i * HORIZON));
        }
        process(harness, within("d", "1", T));
        process(harness, within("d", "late", T - 1_000_000));
        process(harness, within("d", "late", T - 1_000_000));
        assertThat(metrics.count("telefold.accepted")).isEqualTo(22);
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(2);
        assertThat(ids(harness, "d")).hasSize(22);
    }

    @Test
    void theClockThatTheCutLeftJudgesTheFirstEventBeyondIt() throws Exception {
        process(harness, within("d", "newest", T));
        process(harness, within("d", "late", T - 1_000_000));
        process(harness, beyond("d", "too late", T - LATENESS - 1));
        process(harness, beyond("d", "in time", T - LATENESS));
        assertThat(accepted(harness)).containsExactly("d/newest", "d/late", "d/in time");
        assertThat(late(harness)).hasSize(1);
        assertThat(late(harness).get(0).getField(EventRow.EVENT_ID)).isEqualTo("too late");
    }

    @Test
    void aCopyBeyondTheCutOfAnEventWithinItIsADuplicate() throws Exception {
        process(harness, within("d", "1", T));
        process(harness, beyond("d", "1", T));
        assertThat(accepted(harness)).containsExactly("d/1");
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(1);
    }

    @Test
    void theFirstEventBeyondTheCutPrunesWhatTheHorizonLeavesBehind() throws Exception {
        process(harness, within("d", "old", T - 1_000_000));
        process(harness, within("d", "kept", T));
        process(harness, within("d", "older", T - 2_000_000));
        assertThat(ids(harness, "d")).containsExactly("kept", "old", "older");
        process(harness, beyond("d", "next", T + 1));
        assertThat(ids(harness, "d")).containsExactly("kept", "next");
    }

    @Test
    void aDuplicateIsAsGoodAsAnyToPruneBy() throws Exception {
        process(harness, within("d", "old", T - 1_000_000));
        process(harness, within("d", "kept", T));
        process(harness, beyond("d", "kept", T));
        assertThat(ids(harness, "d")).containsExactly("kept");
    }

    @Test
    void aReplayThatTakesLongerThanTheRetentionForgetsNothing() throws Exception {
        process(harness, within("d", "1", T));
        harness.setProcessingTime(NOW + 10 * RETENTION);
        process(harness, within("d", "1", T));
        process(harness, within("d", "2", T));
        assertThat(accepted(harness)).containsExactly("d/1", "d/2");
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(1);
        assertThat(harness.numProcessingTimeTimers()).isZero();
    }

    @Test
    void silenceSinceTheReplayClosesWindowsToWhatComesBeyondTheCut() throws Exception {
        process(harness, within("d", "1", T));
        harness.setProcessingTime(NOW + RETENTION + 1);
        process(harness, beyond("d", "2", T + 1));
        process(harness, beyond("d", "3", T + WINDOW));
        assertThat(accepted(harness)).containsExactly("d/1", "d/3");
        assertThat(late(harness)).hasSize(1);
        assertThat(harness.numProcessingTimeTimers()).isEqualTo(1);
    }

    @Test
    void aCorrectionIsCountedAndOtherwiseNotThere() throws Exception {
        for (Row each : List.of(within("d", "c1", T + 1_000_000), beyond("d", "c2", T - 1_000_000))) {
            process(harness, correcting("1", each));
        }
        process(harness, beyond("d", "c1", T));
        process(harness, beyond("d", "1", T - LATENESS));
        assertThat(accepted(harness)).containsExactly("d/c1", "d/1");
        assertThat(late(harness)).isEmpty();
        assertThat(metrics.count("telefold.corrections")).isEqualTo(2);
        assertThat(metrics.count("telefold.accepted")).isEqualTo(2);
    }

    @Test
    void anEventWithinTheCutIsFoldedAsCorrectedAndOneBeyondItAsSent() throws Exception {
        harness.close();
        harness = harness(corrections(), null);
        process(harness, within("d", "1", T));
        process(harness, within("d", "1", T));
        process(harness, beyond("e", "1", T));
        assertThat(accepted(harness)).containsExactly("d/1", "e/1");
        List<Row> rows = harness.extractOutputValues();
        assertThat(rows.get(0).getField(EventRow.EVENT_TIME)).isEqualTo(T + 7_000);
        assertThat(rows.get(0).getField(EventRow.METRICS)).isEqualTo(Map.of("temperature", 2.0));
        assertThat(rows.get(1).getField(EventRow.EVENT_TIME)).isEqualTo(T);
        assertThat(rows.get(1).getField(EventRow.METRICS)).isEqualTo(Map.of());
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(1);
    }

    @Test
    void theTimeOfACorrectionMovesTheClock() throws Exception {
        harness.close();
        harness = harness(corrections(), null);
        process(harness, within("d", "1", T));
        process(harness, beyond("d", "too late", T + 7_000 - LATENESS - 1));
        process(harness, beyond("d", "in time", T + 7_000 - LATENESS));
        assertThat(accepted(harness)).containsExactly("d/1", "d/in time");
    }

    /** And so the job may read the files of an archive in any order that keeps to the cut. */
    @Test
    void theOrderWithinTheCutDoesNotMatter() throws Exception {
        List<Row> log = new ArrayList<>();
        Random random = new Random(5);
        for (int i = 0; i < 300; i++) {
            String device = "d" + random.nextInt(3);
            // One copy has the time of another, as copies do; ids are not unique among devices.
            int id = random.nextInt(60);
            log.add(within(device, "" + id, T - id * 10_000L));
        }
        Map<String, Row> inOrder = decided(log);
        assertThat(inOrder).hasSizeGreaterThan(150);
        for (int shuffle = 0; shuffle < 20; shuffle++) {
            Collections.shuffle(log, random);
            assertThat(decided(log)).isEqualTo(inOrder);
        }
    }

    /** Accepted rows by device and event_id, and what the first event beyond the cut then meets. */
    private Map<String, Row> decided(List<Row> log) throws Exception {
        Corrections corrections = Corrections.parse("[{\"device_id\": \"d1\", \"corrects\": \"7\","
                + " \"event_time\": " + (T + 3) + ", \"sequence\": 0, \"metrics\": {\"temperature\": 2.0}}]");
        KeyedOneInputStreamOperatorTestHarness<String, Row, Row> one = harness(corrections, null);
        log.forEach(row -> process(one, row));
        assertThat(late(one)).isEmpty();
        for (String device : List.of("d0", "d1", "d2")) {
            for (long behind = LATENESS - 5; behind < LATENESS + 5; behind++) {
                process(one, beyond(device, "beyond " + behind, T - behind));
            }
        }
        assertThat(late(one)).isNotEmpty();
        Map<String, Row> rows = new TreeMap<>();
        for (Row row : one.extractOutputValues()) {
            Row before = rows.put(row.getField(EventRow.DEVICE_ID) + "/" + row.getField(EventRow.EVENT_ID), row);
            assertThat(before).isNull();
        }
        one.close();
        return rows;
    }

    @Test
    void aRestoreInTheMiddleOfAReplayForgetsNothing() throws Exception {
        process(harness, within("d", "1", T));
        process(harness, within("d", "late", T - 1_000_000));
        OperatorSubtaskState snapshot = harness.snapshot(1, 1);
        harness.close();
        harness = harness(Corrections.none(), snapshot);
        harness.setProcessingTime(NOW + 2 * RETENTION);
        process(harness, within("d", "late", T - 1_000_000));
        process(harness, within("d", "later", T - 2_000_000));
        assertThat(accepted(harness)).containsExactly("d/later");
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(1);
    }

    /** Event 1 of device d happened 7 s later than it said, at 2 degrees; so did that of e. */
    private static Corrections corrections() throws Exception {
        String values = "\"corrects\": \"1\", \"event_time\": " + (T + 7_000)
                + ", \"sequence\": 3, \"metrics\": {\"temperature\": 2.0}}";
        return Corrections.parse("[{\"device_id\": \"d\", " + values + ", {\"device_id\": \"e\", " + values + "]");
    }

    private static Row within(String device, String id, long time) {
        return numbered("999", Rows.event(device, id, time));
    }

    private static Row beyond(String device, String id, long time) {
        return numbered("1000", Rows.event(device, id, time));
    }

    private static Row numbered(String sequenceNumber, Row row) {
        row.setField(EventRow.SEQUENCE_NUMBER, sequenceNumber);
        return row;
    }

    private static Row correcting(String eventId, Row row) {
        row.setField(EventRow.CORRECTS, eventId);
        return row;
    }
}
