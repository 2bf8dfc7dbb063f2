package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
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

    @Nested
    class Latest {

        @BeforeEach
        void open() throws Exception {
            MicroBatchTest.this.open(MicroBatch.latest(1_000, 100_000, 1_000_000));
        }

        @Test
        void keepsTheHighestVersionOfAKeyInOrderOfFirstArrival() throws Exception {
            process(RowKind.INSERT, "a", 1, "a1");
            process(RowKind.INSERT, "b", 5, "b5");
            process(RowKind.UPDATE_AFTER, "a", 3, "a3");
            process(RowKind.UPDATE_AFTER, "a", 2, "a2");
            flush();
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(2, "a3\nb5"));
        }

        @Test
        void ofEqualVersionsTheNewerArrivalWins() throws Exception {
            process(RowKind.INSERT, "a", 1, "first");
            process(RowKind.INSERT, "a", 1, "second");
            flush();
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(1, "second"));
        }

        @Test
        void ignoresRetractions() throws Exception {
            process(RowKind.UPDATE_AFTER, "a", 2, "a2");
            process(RowKind.UPDATE_BEFORE, "a", 3, "retracted");
            process(RowKind.DELETE, "b", 1, "deleted");
            flush();
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(1, "a2"));
        }

        @Test
        void forgetsVersionsWithTheBatch() throws Exception {
            process(RowKind.INSERT, "a", 9, "a9");
            flush();
            process(RowKind.INSERT, "a", 1, "a1");
            flush();
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(1, "a9"), Row.of(1, "a1"));
        }

        @Test
        void splitsABatchIntoRowsOf5000Values() throws Exception {
            for (int i = 0; i < 10_001; i++) {
                process(RowKind.INSERT, "k" + i, 1, "v" + i);
            }
            flush();
            assertThat(harness.extractOutputValues()).extracting(r -> r.getField(0)).containsExactly(5_000, 5_000, 1);
            String all = harness.extractOutputValues().stream()
                    .map(r -> (String) r.getField(1))
                    .collect(Collectors.joining("\n"));
            assertThat(all)
                    .isEqualTo(IntStream.range(0, 10_001).mapToObj(i -> "v" + i).collect(Collectors.joining("\n")));
            assertThat(metrics.count("rowsOut")).isEqualTo(10_001);
            assertThat(metrics.count("flushes")).isEqualTo(1);
            assertThat(metrics.value("flushRows")).isEqualTo(10_001L);
            process(RowKind.INSERT, "k", 1, "v");
            flush();
            assertThat(metrics.value("flushRows")).isEqualTo(1L);
        }

        @Test
        void emitsNoEmptyRowAfterExactly5000() throws Exception {
            for (int i = 0; i < 5_000; i++) {
                process(RowKind.INSERT, "k" + i, 1, "v");
            }
            flush();
            assertThat(harness.extractOutputValues()).extracting(r -> r.getField(0)).containsExactly(5_000);
        }

        @Test
        void flushesWhenItHoldsTooManyKeysAndNotForUpdates() throws Exception {
            MicroBatchTest.this.open(MicroBatch.latest(1_000, 2, 1_000_000));
            process(RowKind.INSERT, "a", 1, "a1");
            process(RowKind.INSERT, "a", 2, "a2");
            process(RowKind.INSERT, "a", 3, "a3");
            assertThat(harness.extractOutputValues()).isEmpty();
            process(RowKind.INSERT, "b", 1, "b1");
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(2, "a3\nb1"));
        }

        @Test
        void flushesWhenItHoldsTooManyCharacters() throws Exception {
            MicroBatchTest.this.open(MicroBatch.latest(1_000, 100, 10));
            process(RowKind.INSERT, "a", 1, "12345678");
            assertThat(harness.extractOutputValues()).isEmpty();
            process(RowKind.INSERT, "a", 2, "1234");
            process(RowKind.INSERT, "b", 1, "123");
            assertThat(harness.extractOutputValues()).isEmpty();
            process(RowKind.INSERT, "a", 3, "12345");
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(2, "12345\n123"));
            process(RowKind.INSERT, "c", 3, "12345678");
            assertThat(harness.extractOutputValues()).hasSize(1);
        }

        @Test
        void flushesOnTheMultiplesOfItsInterval() throws Exception {
            process(RowKind.INSERT, "a", 1, "a1");
            harness.setProcessingTime(10_999);
            assertThat(harness.extractOutputValues()).isEmpty();
            harness.setProcessingTime(11_000);
            assertThat(harness.extractOutputValues()).hasSize(1);
            process(RowKind.INSERT, "a", 2, "a2");
            harness.setProcessingTime(12_000);
            assertThat(harness.extractOutputValues()).hasSize(2);
        }

        @Test
        void flushesSoonAgainAfterAFlushThatCameLate() throws Exception {
            process(RowKind.INSERT, "a", 1, "a1");
            harness.setProcessingTime(14_500);
            assertThat(harness.extractOutputValues()).hasSize(1);
            process(RowKind.INSERT, "a", 2, "a2");
            harness.setProcessingTime(14_624);
            assertThat(harness.extractOutputValues()).hasSize(1);
            harness.setProcessingTime(14_625);
            assertThat(harness.extractOutputValues()).hasSize(2);
        }

        @Test
        void flushesAtTheEndOfItsInput() throws Exception {
            process(RowKind.INSERT, "a", 1, "a1");
            harness.getOneInputOperator().finish();
            assertThat(harness.extractOutputValues()).hasSize(1);
            assertThat(harness.getProcessingTimeService().getNumActiveTimers()).isZero();
        }

        @Test
        void keepsNothingOfARowThatIsUsedAgain() throws Exception {
            Row row = Row.ofKind(RowKind.INSERT, "a", 1L, "a1");
            harness.processElement(new StreamRecord<>(row));
            row.setField(2, "other");
            flush();
            assertThat(harness.extractOutputValues()).containsExactly(Row.of(1, "a1"));
        }

        private void process(RowKind kind, String key, long version, String value) throws Exception {
            harness.processElement(new StreamRecord<>(Row.ofKind(kind, key, version, value)));
        }
    }

    @Nested
    class Append {

        @BeforeEach
        void open() throws Exception {
            MicroBatchTest.this.open(MicroBatch.append(1_000, 100, 1_000));
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
            MicroBatchTest.this.open(MicroBatch.append(1_000, 3, 1_000));
            for (String value : new String[] {"1", "2", "3", "4"}) {
                process("a", value);
            }
            assertThat(harness.extractOutputValues()).containsExactly(Row.of("a", "1\n2\n3"));
            flush();
            assertThat(harness.extractOutputValues()).endsWith(Row.of("a", "4"));
        }

        @Test
        void flushesWhenItHoldsTooManyCharacters() throws Exception {
            MicroBatchTest.this.open(MicroBatch.append(1_000, 100, 10));
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
    }
}
