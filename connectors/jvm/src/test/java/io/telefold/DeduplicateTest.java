package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DeduplicateTest {

    private static final long HORIZON = 8_000;
    private static final long LATENESS = 5_000;
    private static final long RETENTION = 100_000;
    private static final long WINDOW = 60_000;
    private static final long NOW = 1_000;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        harness = restored(null);
    }

    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> restored(OperatorSubtaskState snapshot)
            throws Exception {
        KeyedOneInputStreamOperatorTestHarness<String, Row, Row> opened = new KeyedOneInputStreamOperatorTestHarness<>(
                new KeyedProcessOperator<>(new Deduplicate(HORIZON, LATENESS, RETENTION, WINDOW)),
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

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    @Test
    void forwardsEachEventOfADeviceOnce() throws Exception {
        Row first = Rows.event("d", "1", T);
        process(harness, first);
        process(harness, Rows.event("d", "2", T));
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "1", T + 1));
        assertThat(accepted(harness)).containsExactly("d/1", "d/2");
        assertThat(harness.extractOutputValues().get(0)).isEqualTo(first);
        assertThat(late(harness)).isEmpty();
    }

    @Test
    void devicesShareNoIdsAndNoClock() throws Exception {
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("e", "1", T - 1_000_000));
        assertThat(accepted(harness)).containsExactly("d/1", "e/1");
    }

    @Test
    void anEventIsInTimeUpToTheLatenessAndNotAMillisecondMore() throws Exception {
        process(harness, Rows.event("d", "new", T));
        process(harness, Rows.event("d", "in time", T - LATENESS));
        process(harness, Rows.event("d", "too late", T - LATENESS - 1));
        assertThat(accepted(harness)).containsExactly("d/new", "d/in time");
        Row late = late(harness).get(0);
        assertThat(late(harness)).hasSize(1);
        assertThat(late.getField(EventRow.EVENT_ID)).isEqualTo("too late");
        assertThat(late.getField(EventRow.REASON)).isEqualTo("too_late");
        assertThat((String) late.getField(EventRow.DETAIL)).contains("rollup.lateness", "5001 ms", "5000 ms");
        assertThat((byte[]) late.getField(EventRow.PAYLOAD)).isEqualTo("too late".getBytes());
    }

    @Test
    void aTooLateEventLeavesItsRowAsItWas() throws Exception {
        Row late = Rows.event("d", "late", T - LATENESS - 1);
        process(harness, Rows.event("d", "new", T));
        process(harness, late);
        assertThat(late(harness)).hasSize(1);
        assertThat(late.getField(EventRow.REASON)).isNull();
    }

    @Test
    void aTooLateDuplicateIsTooLate() throws Exception {
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "2", T + LATENESS + 1));
        process(harness, Rows.event("d", "1", T));
        assertThat(late(harness)).hasSize(1);
        assertThat(metrics.count("telefold.duplicates")).isZero();
    }

    @Test
    void anOldEventDoesNotTurnTheClockBack() throws Exception {
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "2", T - LATENESS));
        process(harness, Rows.event("d", "3", T - LATENESS - 1));
        assertThat(late(harness)).hasSize(1);
    }

    @Test
    void forgetsIdsBeyondTheHorizonOnceTheClockHasMovedAQuarterOfIt() throws Exception {
        process(harness, Rows.event("d", "old", T));
        process(harness, Rows.event("d", "kept", T + 2_000));
        assertThat(ids(harness, "d")).containsExactly("kept", "old");
        process(harness, Rows.event("d", "new", T + HORIZON + 1));
        assertThat(ids(harness, "d")).containsExactly("kept", "new");
        process(harness, Rows.event("d", "newer", T + HORIZON + 2_001));
        assertThat(ids(harness, "d")).containsExactly("kept", "new", "newer");
        process(harness, Rows.event("d", "newest", T + HORIZON + 2_002));
        assertThat(ids(harness, "d")).containsExactly("new", "newer", "newest");
    }

    @Test
    void remembersAnIdForTheWholeHorizon() throws Exception {
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "2", T + HORIZON));
        process(harness, Rows.event("d", "1", T + HORIZON));
        assertThat(accepted(harness)).containsExactly("d/1", "d/2");
    }

    @Test
    void aHorizonOfNothingStillPrunes() throws Exception {
        KeyedOneInputStreamOperatorTestHarness<String, Row, Row> none = new KeyedOneInputStreamOperatorTestHarness<>(
                new KeyedProcessOperator<>(new Deduplicate(0, 0, RETENTION, WINDOW)), new DeviceKey(), Types.STRING);
        none.open();
        for (int i = 0; i < 10; i++) {
            process(none, Rows.event("d", "" + i, T + i));
        }
        assertThat(ids(none, "d")).hasSizeLessThanOrEqualTo(2);
        none.close();
    }

    @Test
    void closesTheWindowsOfADeviceThatWasSilentForTooLong() throws Exception {
        long windowEnd = T - T % WINDOW + WINDOW;
        process(harness, Rows.event("d", "1", T));
        // The timer must not be what does it: a device that comes back meets no timer that is due.
        harness.setProcessingTime(NOW + RETENTION);
        process(harness, Rows.event("d", "alive", T + 1));
        harness.setProcessingTime(NOW + 2 * RETENTION + 1);
        process(harness, Rows.event("d", "in a closed window", windowEnd - 1));
        process(harness, Rows.event("d", "in the next", windowEnd));
        assertThat(accepted(harness)).containsExactly("d/1", "d/alive", "d/in the next");
        assertThat(late(harness)).hasSize(1);
        assertThat((String) late(harness).get(0).getField(EventRow.DETAIL))
                .contains("state.retention", "is 1 ms before " + windowEnd);
    }

    @Test
    void retentionCountsFromTheLastDuplicateToo() throws Exception {
        process(harness, Rows.event("d", "1", T));
        harness.setProcessingTime(NOW + RETENTION);
        process(harness, Rows.event("d", "1", T));
        harness.setProcessingTime(NOW + 2 * RETENTION);
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "2", T));
        assertThat(accepted(harness)).containsExactly("d/1", "d/2");
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(2);
    }

    @Test
    void retentionDoesNotCountFromATooLateEvent() throws Exception {
        process(harness, Rows.event("d", "1", T));
        harness.setProcessingTime(NOW + RETENTION);
        process(harness, Rows.event("d", "late", T - LATENESS - 1));
        harness.setProcessingTime(NOW + RETENTION + 1);
        process(harness, Rows.event("d", "2", T + 1));
        assertThat(accepted(harness)).containsExactly("d/1");
        assertThat(late(harness)).hasSize(2);
    }

    @Test
    void aReturnedDeviceGoesOnAsAnyOther() throws Exception {
        process(harness, Rows.event("d", "1", T));
        harness.setProcessingTime(NOW + RETENTION + 1);
        process(harness, Rows.event("d", "2", T + WINDOW));
        process(harness, Rows.event("d", "2", T + WINDOW));
        process(harness, Rows.event("d", "3", T + WINDOW + 1));
        assertThat(accepted(harness)).containsExactly("d/1", "d/2", "d/3");
    }

    @Test
    void aTimerFreesTheIdsOfASilentDeviceAndKeepsItsClock() throws Exception {
        process(harness, Rows.event("d", "1", T));
        harness.setProcessingTime(NOW + RETENTION);
        assertThat(ids(harness, "d")).containsExactly("1");
        harness.setProcessingTime(NOW + RETENTION + 1);
        assertThat(ids(harness, "d")).isEmpty();
        assertThat(harness.numProcessingTimeTimers()).isZero();
        process(harness, Rows.event("d", "2", T));
        assertThat(accepted(harness)).containsExactly("d/1");
        assertThat(late(harness)).hasSize(1);
    }

    @Test
    void oneTimerADeviceFollowsItWhileItLives() throws Exception {
        for (int i = 0; i < 50; i++) {
            harness.setProcessingTime(NOW + i * 10_000L);
            process(harness, Rows.event("d", "" + i, T + i));
            assertThat(harness.numProcessingTimeTimers()).isEqualTo(1);
        }
        assertThat(accepted(harness)).hasSize(50);
        harness.setProcessingTime(NOW + 490_000 + RETENTION + 1);
        assertThat(ids(harness, "d")).isEmpty();
        assertThat(harness.numProcessingTimeTimers()).isZero();
        process(harness, Rows.event("d", "back", T + WINDOW));
        assertThat(harness.numProcessingTimeTimers()).isEqualTo(1);
    }

    @Test
    void countsWhatItDecided() throws Exception {
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "2", T));
        process(harness, Rows.event("d", "1", T));
        process(harness, Rows.event("d", "3", T - LATENESS - 1));
        assertThat(metrics.count("telefold.accepted")).isEqualTo(2);
        assertThat(metrics.count("telefold.duplicates")).isEqualTo(1);
        assertThat(metrics.count("telefold.too_late")).isEqualTo(1);
    }

    /** A crash at any event, a restore and a replay decide every event as an undisturbed run does. */
    @Test
    void aReplayAfterARestoreDecidesTheSame() throws Exception {
        List<Row> events = disorderedEvents();
        events.forEach(event -> process(harness, event));
        List<String> undisturbed = decisions(harness);
        assertThat(accepted(harness)).hasSizeGreaterThan(100);
        assertThat(late(harness)).hasSizeGreaterThan(10);
        assertThat(metrics.count("telefold.duplicates")).isGreaterThan(10);
        for (int checkpoint = 0; checkpoint < events.size(); checkpoint += 37) {
            KeyedOneInputStreamOperatorTestHarness<String, Row, Row> before = restored(null);
            events.subList(0, checkpoint).forEach(event -> process(before, event));
            OperatorSubtaskState snapshot = before.snapshot(1, 1);
            List<String> decided = decisions(before);
            // What follows the checkpoint is lost with the crash, and must leave no trace.
            events.subList(checkpoint, Math.min(checkpoint + 50, events.size()))
                    .forEach(event -> process(before, event));
            before.close();
            KeyedOneInputStreamOperatorTestHarness<String, Row, Row> after = restored(snapshot);
            after.setProcessingTime(NOW + RETENTION / 2);
            events.subList(checkpoint, events.size()).forEach(event -> process(after, event));
            decided.addAll(decisions(after));
            assertThat(decided).containsExactlyInAnyOrderElementsOf(undisturbed);
            after.close();
        }
    }

    /** What other devices do in between has no say. */
    @Test
    void decisionsOfADeviceDependOnItsOwnEventsAlone() throws Exception {
        List<Row> events = disorderedEvents();
        events.forEach(event -> process(harness, event));
        for (String device : List.of("d0", "d1", "d2")) {
            KeyedOneInputStreamOperatorTestHarness<String, Row, Row> alone = restored(null);
            events.stream()
                    .filter(event -> event.getField(EventRow.DEVICE_ID).equals(device))
                    .forEach(event -> process(alone, event));
            assertThat(decisions(alone))
                    .isEqualTo(decisions(harness).stream()
                            .filter(decision -> decision.contains(device + "/"))
                            .collect(Collectors.toList()));
            alone.close();
        }
    }

    private static List<Row> disorderedEvents() {
        Random random = new Random(11);
        List<Row> events = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
            long time = T + i * 100L - random.nextInt(8_000);
            events.add(Rows.event("d" + random.nextInt(3), "e" + random.nextInt(100), time));
        }
        return events;
    }

    static void process(KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness, Row row) {
        try {
            harness.processElement(new StreamRecord<>(row));
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    static List<String> accepted(KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness) {
        return names(harness.extractOutputValues());
    }

    static List<Row> late(KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness) {
        Queue<StreamRecord<Row>> late = harness.getSideOutput(Deduplicate.tooLate());
        return late == null ? List.of() : late.stream().map(StreamRecord::getValue).collect(Collectors.toList());
    }

    private static List<String> decisions(KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness) {
        List<String> decisions = new ArrayList<>();
        accepted(harness).forEach(name -> decisions.add("accepted " + name));
        names(late(harness)).forEach(name -> decisions.add("too late " + name));
        return decisions;
    }

    private static List<String> names(List<Row> rows) {
        return rows.stream()
                .map(row -> row.getField(EventRow.DEVICE_ID) + "/" + row.getField(EventRow.EVENT_ID))
                .collect(Collectors.toList());
    }

    static Set<String> ids(KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness, String device)
            throws Exception {
        KeyedStateBackend<String> backend =
                ((AbstractStreamOperator<?>) harness.getOperator()).getKeyedStateBackend();
        backend.setCurrentKey(device);
        MapState<String, Long> ids = backend.getPartitionedState(
                VoidNamespace.INSTANCE,
                VoidNamespaceSerializer.INSTANCE,
                new MapStateDescriptor<>("ids", Types.STRING, Types.LONG));
        Set<String> names = new TreeSet<>();
        ids.keys().forEach(names::add);
        return names;
    }
}
