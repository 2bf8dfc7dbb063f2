package io.telefold.batch;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class FlushingOperatorTest {

    @Test
    @SuppressWarnings("try") // Flink's harness closes with any exception
    void countsTheTimeThatItsRowsTookToBeTaken() throws Exception {
        CapturedMetrics metrics = new CapturedMetrics();
        try (OneInputStreamOperatorTestHarness<Row, Row> harness =
                new OneInputStreamOperatorTestHarness<>(new Slow(), metrics.environment())) {
            harness.open();
            for (int checkpoint = 1; checkpoint <= 2; checkpoint++) {
                harness.processElement(new StreamRecord<>(Row.of(checkpoint)));
                harness.prepareSnapshotPreBarrier(checkpoint);
            }
            harness.prepareSnapshotPreBarrier(3);
        }
        assertThat((Long) metrics.value("flushMs")).isBetween(Slow.MS, 20 * Slow.MS);
        assertThat(metrics.count("flushMsTotal")).isBetween(2 * Slow.MS, 40 * Slow.MS);
        assertThat(metrics.count("flushes")).isEqualTo(2);
    }

    /** Its rows are taken slowly, as by a task whose store is slow. */
    private static final class Slow extends FlushingOperator<Row> {

        private static final long MS = 20;
        private static final long serialVersionUID = 1L;
        private transient Row held;

        Slow() {
            super(1_000);
        }

        @Override
        protected void clear() {
            held = null;
        }

        @Override
        protected void add(Row row) {
            held = row;
        }

        @Override
        protected boolean isEmpty() {
            return held == null;
        }

        @Override
        protected boolean isFull() {
            return false;
        }

        @Override
        protected void emitAll() throws Exception {
            Thread.sleep(MS + 1);
            emit(held, 1);
        }
    }
}
