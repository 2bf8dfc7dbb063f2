package io.telefold.intake;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.event.Reason;
import org.apache.flink.streaming.api.operators.StreamFilter;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class IntakeTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private OneInputStreamOperatorTestHarness<Event, Event> harness;

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
        Event first = Events.event("d", "e1", T);
        Event last = Events.event("d", "e2", T);
        process(first);
        process(Events.rejected(T + 5, new byte[] {1}));
        process(last);
        assertThat(harness.extractOutputValues())
                .usingRecursiveFieldByFieldElementComparator()
                .containsExactly(first, last);
        assertThat(metrics.count("eventsIn")).isEqualTo(3);
        assertThat(metrics.value("lastArrival")).isEqualTo(T + 5);
        assertThat(metrics.count("rejected")).isEqualTo(1);
        assertThat(metrics.count("rejectedBadHeader")).isEqualTo(1);
        assertThat(metrics.count("rejectedTimeInFuture")).isZero();
    }

    @Test
    void countsEventsWhosePartitionKeyIsNotTheirDevice() throws Exception {
        process(Events.event("d", "e1", T));
        process(keyed("random", "e2"));
        process(keyed("", "e3"));
        process(Events.rejected(T, new byte[0]));
        assertThat(harness.extractOutputValues()).hasSize(3);
        assertThat(metrics.count("otherKeys")).isEqualTo(2);
    }

    @Test
    void oneOfThemAMinuteIsNamed() {
        OtherKeys keys = new OtherKeys();
        assertThat(keys.line(keyed("a \"key\"", "e"), 5)).endsWith("among shards device=\"d\" key=\"a \\\"key\\\"\"");
        assertThat(keys.line(keyed("b", "e"), 6)).isNull();
        assertThat(keys.line(keyed("b", "e"), 60_004)).isNull();
        assertThat(keys.line(keyed("😀".repeat(65), "e"), 60_005))
                .endsWith(" key=\"" + "😀".repeat(64) + "…\" unsaid=2");
        assertThat(keys.line(keyed("😀".repeat(64), "e"), 120_005)).endsWith(" key=\"" + "😀".repeat(64) + "\"");
    }

    private static Event keyed(String key, String id) {
        Event event = Events.event("d", id, T);
        event.partitionKey = key;
        return event;
    }

    @ParameterizedTest
    @EnumSource(
            value = Reason.class,
            mode = EnumSource.Mode.EXCLUDE,
            names = {"TOO_LATE", "TOO_MANY_NAMES"})
    void everyReasonOfARecordHasACounterOfLettersAlone(Reason reason) throws Exception {
        Event made = Events.rejected(T, new byte[0]);
        made.reason = reason.toString();
        process(made);
        process(made);
        assertThat(reason.metric()).matches("rejected([A-Z][a-z]+)+");
        assertThat(metrics.count(reason.metric())).isEqualTo(2);
        assertThat(metrics.count("rejected")).isEqualTo(2);
    }

    private void process(Event event) throws Exception {
        harness.processElement(new StreamRecord<>(event));
    }
}
