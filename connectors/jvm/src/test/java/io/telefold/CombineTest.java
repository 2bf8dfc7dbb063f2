package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CombineTest {

    private static final long MINUTE = 60_000;
    private static final long START = T - T % MINUTE;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private OneInputStreamOperatorTestHarness<Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        open(new Combine(MINUTE, 1_000, 100));
    }

    private void open(Combine combine) throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(
                InstantiationUtil.clone(combine),
                EventRow.type().createSerializer(new ExecutionConfig()),
                metrics.environment());
        harness.setProcessingTime(10_500);
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    @Test
    void foldsTheReadingsOfOneMetricAndMinuteIntoOneRow() throws Exception {
        process("d", START + 2_000, 2, Map.of("t", 3.0));
        process("d", START + 1_000, 1, Map.of("t", -1.0));
        process("d", START + 3_000, 3, Map.of("t", 2.0));
        flush();
        assertThat(harness.extractOutputValues())
                .containsExactly(Row.of(
                        "d", "t", START, 3L, 4.0, -1.0, 3.0, 14.0, START + 1_000, START + 3_000,
                        PartialRow.last(START + 3_000, 3, 2.0)));
    }

    @Test
    void windowsOfEqualHashCodesHaveAnOrder() {
        Combine.Window window = new Combine.Window("Aa", "BB", START);
        assertThat(window).isEqualByComparingTo(new Combine.Window("Aa", "BB", START));
        for (Combine.Window other : List.of(
                new Combine.Window("BB", "BB", START),
                new Combine.Window("Aa", "Aa", START),
                new Combine.Window("Aa", "BB", START + 1))) {
            assertThat(window.compareTo(other)).isNotZero().isEqualTo(-other.compareTo(window));
        }
        assertThat(window).hasSameHashCodeAs(new Combine.Window("BB", "Aa", START));
    }

    @Test
    void keepsDevicesMetricsAndWindowsApart() throws Exception {
        process("d", START, 1, Map.of("t", 1.0, "u", 2.0));
        process("e", START, 1, Map.of("t", 3.0));
        process("d", START + MINUTE - 1, 2, Map.of("t", 4.0));
        process("d", START + MINUTE, 3, Map.of("t", 5.0));
        flush();
        assertThat(harness.extractOutputValues())
                .extracting(
                        r -> r.getField(0),
                        r -> r.getField(1),
                        r -> r.getField(2),
                        r -> r.getField(3),
                        r -> r.getField(4))
                .containsExactlyInAnyOrder(
                        tuple("d", "t", START, 2L, 5.0),
                        tuple("d", "u", START, 1L, 2.0),
                        tuple("e", "t", START, 1L, 3.0),
                        tuple("d", "t", START + MINUTE, 1L, 5.0));
    }

    @Test
    void aWindowBeginsBeforeItsEventsAlsoBeforeTheEpoch() throws Exception {
        process("d", -1, 1, Map.of("t", 1.0));
        flush();
        assertThat(harness.extractOutputValues()).extracting(r -> r.getField(2)).containsExactly(-MINUTE);
    }

    @Test
    void lastSortsByTimeThenSequenceAndEndsInTheValue() {
        List<String> sorted = List.of(
                PartialRow.last(1, 9, 5.0),
                PartialRow.last(T, Long.MIN_VALUE, 5.0),
                PartialRow.last(T, -1, 9.0),
                PartialRow.last(T, 0, -1e60),
                PartialRow.last(T, Long.MAX_VALUE, 0.1),
                PartialRow.last(T + 1, -5, 0.0));
        assertThat(sorted).isSorted();
        assertThat(sorted).extracting(last -> Double.parseDouble(last.substring(32)))
                .containsExactly(5.0, 5.0, 9.0, -1e60, 0.1, 0.0);
        assertThat(sorted.get(0)).isEqualTo("0000000000000001" + "8000000000000009" + "5.0");
    }

    /** Order of arrival, and where the flushes fall, must not show in what the partials merge to. */
    @Test
    void partialsMergeToTheSameWhateverTheOrderAndTheFlushes() throws Exception {
        Random random = new Random(7);
        List<Row> events = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            // Few times and sequences, so that ties of both happen.
            events.add(Rows.event(
                    "d", "e" + i, START + random.nextInt(5), random.nextInt(3) - 1, Map.of("t", (double) i)));
        }
        String newest = events.stream().map(CombineTest::last).max(String::compareTo).orElseThrow();
        for (int round = 0; round < 20; round++) {
            harness.getOutput().clear();
            Collections.shuffle(events, random);
            for (Row event : events) {
                harness.processElement(new StreamRecord<>(event));
                if (random.nextInt(20) == 0) {
                    flush();
                }
            }
            flush();
            List<Row> partials = harness.extractOutputValues();
            assertThat(partials.size()).isGreaterThan(1);
            assertThat(partials.stream().mapToLong(r -> (Long) r.getField(3)).sum()).isEqualTo(200);
            assertThat(partials.stream().mapToDouble(r -> (Double) r.getField(4)).sum())
                    .isCloseTo(19_900, within(1e-6));
            assertThat(partials.stream().map(r -> (String) r.getField(10)).max(String::compareTo)).contains(newest);
        }
    }

    @Test
    void keepsNothingOfARowThatIsUsedAgain() throws Exception {
        Row row = Rows.event("d", "1", START, 1, Map.of("t", 1.0));
        harness.processElement(new StreamRecord<>(row));
        row.setField(EventRow.DEVICE_ID, "other");
        row.setField(EventRow.METRICS, Map.of("other", 9.0));
        flush();
        Row partial = harness.extractOutputValues().get(0);
        assertThat(partial.getField(0)).isEqualTo("d");
        assertThat(partial.getField(1)).isEqualTo("t");
        assertThat(partial.getField(4)).isEqualTo(1.0);
    }

    @Test
    void flushesOnTheMultiplesOfItsInterval() throws Exception {
        process("d", START, 1, Map.of("t", 1.0));
        harness.setProcessingTime(10_999);
        assertThat(harness.extractOutputValues()).isEmpty();
        harness.setProcessingTime(11_000);
        assertThat(harness.extractOutputValues()).hasSize(1);
        process("d", START, 2, Map.of("t", 2.0));
        harness.setProcessingTime(11_999);
        assertThat(harness.extractOutputValues()).hasSize(1);
        harness.setProcessingTime(12_000);
        assertThat(harness.extractOutputValues()).hasSize(2);
    }

    @Test
    void flushesWhenItsCellsAreFullAndBeginsAnew() throws Exception {
        open(new Combine(MINUTE, 1_000, 3));
        process("d", START, 1, Map.of("a", 1.0, "b", 1.0));
        process("d", START, 2, Map.of("a", 1.0));
        assertThat(harness.extractOutputValues()).isEmpty();
        process("d", START, 3, Map.of("c", 1.0));
        assertThat(harness.extractOutputValues()).hasSize(3);
        process("d", START, 4, Map.of("a", 1.0));
        flush();
        assertThat(harness.extractOutputValues()).hasSize(4);
        assertThat(harness.extractOutputValues().get(3).getField(3)).isEqualTo(1L);
    }

    @Test
    void isEmptyWhenABarrierPasses() throws Exception {
        process("d", START, 1, Map.of("t", 1.0));
        harness.prepareSnapshotPreBarrier(1);
        assertThat(harness.extractOutputValues()).hasSize(1);
        harness.prepareSnapshotPreBarrier(2);
        assertThat(harness.extractOutputValues()).hasSize(1);
    }

    @Test
    void flushesAtTheEndOfItsInputAndThenNoMore() throws Exception {
        process("d", START, 1, Map.of("t", 1.0));
        harness.getOneInputOperator().finish();
        assertThat(harness.extractOutputValues()).hasSize(1);
        assertThat(harness.getProcessingTimeService().getNumActiveTimers()).isZero();
    }

    @Test
    void leavesNoTimerBehindWhenItIsClosed() throws Exception {
        assertThat(harness.getProcessingTimeService().getNumActiveTimers()).isEqualTo(1);
        harness.getOneInputOperator().close();
        assertThat(harness.getProcessingTimeService().getNumActiveTimers()).isZero();
    }

    @Test
    void countsFlushesAndRows() throws Exception {
        flush();
        process("d", START, 1, Map.of("t", 1.0, "u", 1.0));
        flush();
        assertThat(metrics.count("flushes")).isEqualTo(1);
        assertThat(metrics.count("rowsOut")).isEqualTo(2);
    }

    @Test
    void refusesTimesThatAreNone() {
        assertThatThrownBy(() -> new Combine(0, 1, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Combine(1, 0, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    private static String last(Row event) {
        double value = ((Map<?, ?>) event.getField(EventRow.METRICS)).values().stream()
                .mapToDouble(v -> (Double) v)
                .sum();
        return PartialRow.last(
                (Long) event.getField(EventRow.EVENT_TIME), (Long) event.getField(EventRow.SEQUENCE), value);
    }

    private void process(String device, long time, long sequence, Map<String, Double> metrics) throws Exception {
        harness.processElement(new StreamRecord<>(Rows.event(device, "e", time, sequence, metrics)));
    }

    private void flush() throws Exception {
        harness.prepareSnapshotPreBarrier(1);
    }
}
