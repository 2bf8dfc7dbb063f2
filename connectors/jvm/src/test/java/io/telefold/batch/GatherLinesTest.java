package io.telefold.batch;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class GatherLinesTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private OneInputStreamOperatorTestHarness<Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(
                InstantiationUtil.clone(new GatherLines(1_000, 4, 10)), metrics.environment());
        harness.setProcessingTime(10_500);
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void process(int count, String lines) throws Exception {
        harness.processElement(new StreamRecord<>(Row.of(count, lines)));
    }

    @Test
    void joinsBatchesInTheirOrder() throws Exception {
        process(1, "a");
        process(2, "b\nc");
        assertThat(harness.extractOutputValues()).isEmpty();
        harness.setProcessingTime(11_000);
        assertThat(harness.extractOutputValues()).containsExactly(Row.of(3, "a\nb\nc"));
        assertThat(metrics.count("rowsOut")).isEqualTo(3);
    }

    @Test
    void flushesWhenItHoldsEnough() throws Exception {
        process(3, "a\nb\nc");
        process(2, "d\ne");
        process(1, "f");
        assertThat(harness.extractOutputValues()).containsExactly(Row.of(5, "a\nb\nc\nd\ne"));
    }

    @Test
    void flushesWhenItHoldsTooManyCharacters() throws Exception {
        process(1, "abcd");
        process(1, "efghi");
        process(1, "j");
        assertThat(harness.extractOutputValues()).containsExactly(Row.of(2, "abcd\nefghi"));
    }

    @Test
    void keepsNothingOverABarrier() throws Exception {
        process(1, "a");
        harness.prepareSnapshotPreBarrier(1);
        harness.prepareSnapshotPreBarrier(2);
        assertThat(harness.extractOutputValues()).containsExactly(Row.of(1, "a"));
    }
}
