package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import org.apache.flink.streaming.api.operators.StreamFilter;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class IntakeTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private OneInputStreamOperatorTestHarness<Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        harness = new OneInputStreamOperatorTestHarness<>(new StreamFilter<>(new Intake()), metrics.environment());
        harness.open();
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    @Test
    void countsRecordsKeepsTheValidOnesAndRemembersTheNewestArrival() throws Exception {
        Row first = Rows.event("d", "e1", T);
        Row last = Rows.event("d", "e2", T);
        process(first);
        process(Rows.rejected(T + 5, new byte[] {1}));
        process(last);
        assertThat(harness.extractOutputValues()).containsExactly(first, last);
        assertThat(metrics.count("eventsIn")).isEqualTo(3);
        assertThat(metrics.value("lastArrival")).isEqualTo(T + 5);
        assertThat(metrics.count("rejected")).isEqualTo(1);
        assertThat(metrics.count("rejectedBadHeader")).isEqualTo(1);
        assertThat(metrics.count("rejectedTimeInFuture")).isZero();
    }

    @ParameterizedTest
    @EnumSource(value = Reason.class, mode = EnumSource.Mode.EXCLUDE, names = {"TOO_LATE", "TOO_MANY_NAMES"})
    void everyReasonOfARecordHasACounterOfLettersAlone(Reason reason) throws Exception {
        Row row = Rows.rejected(T, new byte[0]);
        row.setField(EventRow.REASON, reason.toString());
        process(row);
        process(row);
        assertThat(reason.metric()).matches("rejected([A-Z][a-z]+)+");
        assertThat(metrics.count(reason.metric())).isEqualTo(2);
        assertThat(metrics.count("rejected")).isEqualTo(2);
    }

    private void process(Row row) throws Exception {
        harness.processElement(new StreamRecord<>(row));
    }
}
