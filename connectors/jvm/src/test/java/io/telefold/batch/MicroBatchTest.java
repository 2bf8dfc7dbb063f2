package io.telefold.batch;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class MicroBatchTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private OneInputStreamOperatorTestHarness<Row, Row> harness;

    private void open(MicroBatch batch) throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(InstantiationUtil.clone(batch), metrics.environment());
        harness.setProcessingTime(10_500);
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void flush() throws Exception {
        harness.prepareSnapshotPreBarrier(1);
    }

    @BeforeEach
    void open() throws Exception {
        open(MicroBatch.append(1_000, 100, 1_000));
    }

    @Test
    void keepsEveryValueOfAKeyInOrder() throws Exception {
        process("a", "1");
        process("b", "2");
        process("a", "3");
        process("a", "1");
        flush();
        assertThat(harness.extractOutputValues()).containsExactly(Row.of("a", "1\n3\n1"), Row.of("b", "2"));
        assertThat(metrics.count("rowsOut")).isEqualTo(4);
    }

    @Test
    void flushesWhenItHoldsTooManyValuesAndBeginsAnew() throws Exception {
        open(MicroBatch.append(1_000, 3, 1_000));
        for (String value : new String[] {"1", "2", "3", "4"}) {
            process("a", value);
        }
        assertThat(harness.extractOutputValues()).containsExactly(Row.of("a", "1\n2\n3"));
        flush();
        assertThat(harness.extractOutputValues()).endsWith(Row.of("a", "4"));
    }

    @Test
    void flushesWhenItHoldsTooManyCharacters() throws Exception {
        open(MicroBatch.append(1_000, 100, 10));
        process("a", "1234");
        assertThat(harness.extractOutputValues()).isEmpty();
        process("a", "1234");
        assertThat(harness.extractOutputValues()).hasSize(1);
    }

    @Test
    void flushesOnItsIntervalAndAtTheEnd() throws Exception {
        process("a", "1");
        harness.setProcessingTime(11_000);
        assertThat(harness.extractOutputValues()).containsExactly(Row.of("a", "1"));
        process("a", "2");
        harness.getOneInputOperator().finish();
        assertThat(harness.extractOutputValues()).hasSize(2);
    }

    @Test
    void aWatermarkWaitsForTheValuesBeforeIt() throws Exception {
        harness.processWatermark(1);
        assertThat(harness.getOutput()).containsExactly(new Watermark(1));
        process("a", "1");
        harness.processWatermark(2);
        harness.processWatermark(3);
        assertThat(harness.getOutput()).hasSize(1);
        flush();
        assertThat(harness.getOutput())
                .containsExactly(new Watermark(1), new StreamRecord<>(Row.of("a", "1")), new Watermark(3));
        process("a", "2");
        flush();
        harness.processWatermark(4);
        assertThat(harness.getOutput()).hasSize(5).endsWith(new Watermark(4));
    }

    @Test
    void anInputThatFallsIdleSaysFirstWhatItHas() throws Exception {
        process("a", "1");
        harness.processWatermark(2);
        harness.processWatermarkStatus(WatermarkStatus.IDLE);
        assertThat(harness.getOutput())
                .containsExactly(new StreamRecord<>(Row.of("a", "1")), new Watermark(2), WatermarkStatus.IDLE);
    }

    @Test
    void theEndOfALogIsNotTheEndOfTime() throws Exception {
        process("a", "1");
        harness.processWatermark(Watermark.MAX_WATERMARK);
        flush();
        harness.processWatermark(Watermark.MAX_WATERMARK);
        assertThat(harness.getOutput()).containsExactly(new StreamRecord<>(Row.of("a", "1")));
    }

    private void process(String key, String value) throws Exception {
        harness.processElement(new StreamRecord<>(Row.of(key, value)));
    }

    @Test
    void flushesOnTheMultiplesOfItsInterval() throws Exception {
        process("a", "1");
        harness.setProcessingTime(10_999);
        assertThat(harness.extractOutputValues()).isEmpty();
        harness.setProcessingTime(11_000);
        assertThat(harness.extractOutputValues()).hasSize(1);
        process("a", "2");
        harness.setProcessingTime(12_000);
        assertThat(harness.extractOutputValues()).hasSize(2);
    }

    @Test
    void flushesSoonAgainAfterAFlushThatCameLate() throws Exception {
        process("a", "1");
        harness.setProcessingTime(14_500);
        assertThat(harness.extractOutputValues()).hasSize(1);
        process("a", "2");
        harness.setProcessingTime(14_624);
        assertThat(harness.extractOutputValues()).hasSize(1);
        harness.setProcessingTime(14_625);
        assertThat(harness.extractOutputValues()).hasSize(2);
        assertThat(metrics.count("flushes")).isEqualTo(2);
        assertThat(metrics.value("flushRows")).isEqualTo(1L);
    }

    @Test
    void keepsNothingOfARowThatIsUsedAgain() throws Exception {
        Row row = Row.of("a", "1");
        harness.processElement(new StreamRecord<>(row));
        row.setField(1, "other");
        flush();
        assertThat(harness.extractOutputValues()).containsExactly(Row.of("a", "1"));
    }
}
