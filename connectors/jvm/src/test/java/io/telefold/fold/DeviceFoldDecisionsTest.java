package io.telefold.fold;

import static io.telefold.event.Events.T;
import static io.telefold.event.Events.after;
import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.GoldenViews;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Which events are folded, which are duplicates, and which come too late. */
class DeviceFoldDecisionsTest {

    private static final long HORIZON = 8_000;
    private static final long LATENESS = 5_000;
    private static final long RETENTION = 100_000;
    private static final long DEVICE_RETENTION = 20 * RETENTION;
    private static final long WINDOW = 60_000;
    private static final long NOW = 1_000;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private FoldHarness fold;

    /** What is known of a device stays in the heap until then. */
    int maxRows() {
        return 100_000;
    }

    /** Devices that were flushed are still at hand. */
    long cacheBytes() {
        return 1_000_000;
    }

    StateBackend backend() {
        return new HashMapStateBackend();
    }

    @BeforeEach
    void open() throws Exception {
        fold = restored(null);
    }

    private FoldHarness restored(OperatorSubtaskState snapshot) throws Exception {
        return open(new TimeRules(HORIZON, LATENESS, RETENTION, WINDOW, DEVICE_RETENTION, 1, 1), snapshot);
    }

    private FoldHarness open(TimeRules rules, OperatorSubtaskState snapshot) throws Exception {
        DeviceFold operator = new DeviceFold(
                rules, Cut.nowhere(), Corrections.none(), GoldenViews.MINUTES.views(), 1_000, maxRows(), cacheBytes());
        return FoldHarness.open(operator, backend(), metrics, NOW, snapshot);
    }

    @AfterEach
    void close() throws Exception {
        fold.close();
    }

    @Test
    void foldsEachEventOfADeviceOnce() throws Exception {
        Event first = Events.event("d", "1", T);
        fold.process(first);
        fold.process(Events.event("d", "2", T));
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "1", T + 1));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2");
        assertThat(fold.acceptedEvents().get(0)).usingRecursiveComparison().isEqualTo(first);
        assertThat(fold.late()).isEmpty();
    }

    @Test
    void devicesShareNoIdsAndNoClock() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("e", "1", T - 1_000_000));
        assertThat(fold.accepted()).containsExactly("d/1", "e/1");
    }

    @Test
    void anEventIsInTimeUpToTheLatenessAndNotAMillisecondMore() throws Exception {
        fold.process(Events.event("d", "new", T));
        fold.process(Events.event("d", "in time", T - LATENESS));
        fold.process(Events.event("d", "too late", T - LATENESS - 1));
        assertThat(fold.accepted()).containsExactly("d/new", "d/in time");
        Event late = fold.late().get(0);
        assertThat(fold.late()).hasSize(1);
        assertThat(late.eventId).isEqualTo("too late");
        assertThat(late.reason).isEqualTo("too_late");
        assertThat(late.detail).contains("rollup.lateness", "5001 ms", "5000 ms");
        assertThat(late.payload).isEqualTo("too late".getBytes());
    }

    @Test
    void aTooLateEventLeavesItsRowAsItWas() throws Exception {
        Event late = Events.event("d", "late", T - LATENESS - 1);
        fold.process(Events.event("d", "new", T));
        fold.process(late);
        assertThat(fold.late()).hasSize(1);
        assertThat(late.reason).isNull();
    }

    @Test
    void aTooLateDuplicateIsTooLate() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "2", T + LATENESS + 1));
        fold.process(Events.event("d", "1", T));
        assertThat(fold.late()).hasSize(1);
        assertThat(metrics.count("duplicates")).isZero();
    }

    @Test
    void anOldEventDoesNotTurnTheClockBack() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "2", T - LATENESS));
        fold.process(Events.event("d", "3", T - LATENESS - 1));
        assertThat(fold.late()).hasSize(1);
    }

    @Test
    void forgetsIdsBeyondTheHorizonOnceTheClockHasMovedAQuarterOfIt() throws Exception {
        fold.process(Events.event("d", "old", T));
        fold.process(Events.event("d", "kept", T + 2_000));
        assertThat(fold.ids("d")).containsExactly("kept", "old");
        fold.process(Events.event("d", "new", T + HORIZON + 1));
        assertThat(fold.ids("d")).containsExactly("kept", "new");
        fold.process(Events.event("d", "newer", T + HORIZON + 2_001));
        assertThat(fold.ids("d")).containsExactly("kept", "new", "newer");
        fold.process(Events.event("d", "newest", T + HORIZON + 2_002));
        assertThat(fold.ids("d")).containsExactly("new", "newer", "newest");
    }

    @Test
    void remembersAnIdForTheWholeHorizon() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "2", T + HORIZON));
        fold.process(Events.event("d", "1", T + HORIZON));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2");
    }

    @Test
    void aHorizonOfNothingStillPrunes() throws Exception {
        FoldHarness none = open(new TimeRules(0, 0, RETENTION, WINDOW, DEVICE_RETENTION, 1, 1), null);
        for (int i = 0; i < 10; i++) {
            none.process(Events.event("d", "" + i, T + i));
        }
        assertThat(none.ids("d")).hasSizeLessThanOrEqualTo(2);
        none.close();
    }

    /** A scan costs as much as several look-ups: without this a slow device would pay for one with each event. */
    @Test
    void prunesOnlyWhenSeveralIdsWereRemembered() throws Exception {
        FoldHarness slow = open(new TimeRules(HORIZON, LATENESS, RETENTION, WINDOW, DEVICE_RETENTION, 4, 1), null);
        for (int i = 0; i < 3; i++) {
            slow.process(Events.event("d", "" + i, T + i * 10 * HORIZON));
        }
        assertThat(slow.ids("d")).containsExactly("0", "1", "2");
        slow.process(Events.event("d", "3", T + 30 * HORIZON));
        assertThat(slow.ids("d")).containsExactly("3");
        slow.process(Events.event("d", "4", T + 40 * HORIZON));
        assertThat(slow.ids("d")).containsExactly("3", "4");
        slow.close();
    }

    @Test
    void closesTheWindowsOfADeviceThatWasSilentForTooLong() throws Exception {
        long windowEnd = T - T % WINDOW + WINDOW;
        fold.process(Events.event("d", "1", T));
        // No watermark must be what does it: a replay has others.
        fold.process(after(RETENTION, Events.event("d", "alive", T + 1)));
        fold.process(after(2 * RETENTION + 1, Events.event("d", "in a closed window", windowEnd - 1)));
        fold.process(after(2 * RETENTION + 1, Events.event("d", "in the next", windowEnd)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/alive", "d/in the next");
        assertThat(fold.late()).hasSize(1);
        assertThat(fold.late().get(0).detail).contains("state.retention", "is 1 ms before " + windowEnd);
    }

    @Test
    void theWallClockHasNoSay() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.setProcessingTime(NOW + 3 * DEVICE_RETENTION);
        fold.process(after(RETENTION, Events.event("d", "1", T)));
        fold.process(after(RETENTION, Events.event("d", "2", T)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2");
        assertThat(metrics.count("forgottenDevices")).isZero();
    }

    @Test
    void silenceIsFromTheGreatestArrivalSoFar() throws Exception {
        fold.process(after(RETENTION, Events.event("d", "1", T)), after(0, Events.event("d", "2", T)));
        fold.process(after(2 * RETENTION, Events.event("d", "3", T)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2", "d/3");
        fold.process(after(3 * RETENTION + 1, Events.event("d", "4", T)));
        assertThat(fold.late()).hasSize(1);
    }

    @Test
    void retentionCountsFromTheLastDuplicateToo() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(after(RETENTION, Events.event("d", "1", T)));
        fold.process(after(2 * RETENTION, Events.event("d", "1", T)), after(2 * RETENTION, Events.event("d", "2", T)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2");
        assertThat(metrics.count("duplicates")).isEqualTo(2);
    }

    @Test
    void retentionDoesNotCountFromATooLateEvent() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(after(RETENTION, Events.event("d", "late", T - LATENESS - 1)));
        fold.process(after(RETENTION + 1, Events.event("d", "2", T + 1)));
        assertThat(fold.accepted()).containsExactly("d/1");
        assertThat(fold.late()).hasSize(2);
    }

    @Test
    void aReturnedDeviceGoesOnAsAnyOther() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(after(RETENTION + 1, Events.event("d", "2", T + WINDOW)));
        fold.process(after(RETENTION + 1, Events.event("d", "2", T + WINDOW)));
        fold.process(after(RETENTION + 1, Events.event("d", "3", T + WINDOW + 1)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2", "d/3");
    }

    @Test
    void aDeviceThatDoesNotComeBackIsForgottenAltogether() throws Exception {
        fold.process(Events.event("d", "1", T), Events.event("e", "1", T));
        fold.setTime(T + RETENTION + 1);
        fold.process(after(RETENTION + 2, Events.event("e", "2", T + WINDOW)));
        fold.setTime(T + DEVICE_RETENTION);
        fold.flush();
        assertThat(fold.kept("d")).isNotNull();
        fold.setTime(T + DEVICE_RETENTION + 1);
        fold.flush();
        assertThat(fold.kept("d")).isNull();
        assertThat(fold.kept("e")).isNotNull();
        assertThat(metrics.count("newDevices")).isEqualTo(2);
        assertThat(metrics.count("forgottenDevices")).isEqualTo(1);
        fold.setTime(T + 3 * DEVICE_RETENTION);
        assertThat(fold.deviceTimers()).isZero();
        assertThat(metrics.count("forgottenDevices")).isEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aForgottenDeviceBeginsAsANewOneWhetherOrNotTimeHasGoneOn(boolean withTimer) throws Exception {
        fold.process(Events.event("d", "1", T));
        if (withTimer) {
            fold.setTime(T + DEVICE_RETENTION + 1);
        }
        fold.process(after(DEVICE_RETENTION + 2, Events.event("d", "1", T - 10 * WINDOW)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/1");
        assertThat(fold.deviceTimers()).isEqualTo(1);
        assertThat(metrics.count("newDevices")).isEqualTo(2);
        assertThat(metrics.count("forgottenDevices")).isEqualTo(1);
        fold.setTime(T + 2 * DEVICE_RETENTION + 2);
        assertThat(fold.deviceTimers()).isEqualTo(1);
        fold.setTime(T + 2 * DEVICE_RETENTION + 3);
        assertThat(fold.deviceTimers()).isZero();
    }

    @Test
    void theEndOfAPartOfTheLogIsNoSilence() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.setTime(Long.MAX_VALUE);
        assertThat(fold.ids("d")).containsExactly("1");
        assertThat(metrics.count("forgottenDevices")).isZero();
    }

    @Test
    void anEventThatTellsTooManyNewNamesIsSetAsideAsAWhole() throws Exception {
        fold.process(named("1", T, 0, 1_000), named("2", T + 1, 1_000, 1_000));
        fold.process(named("3", T + 2, 1_999, 2), named("4", T + 3, 5, 3), named("5", T + 4, 0, 0));
        assertThat(fold.decisions())
                .containsExactly("accepted d/1", "accepted d/2", "accepted d/4", "accepted d/5", "set aside d/3");
        assertThat(fold.late().get(0).reason).isEqualTo("too_many_names");
        assertThat(fold.late().get(0).detail).contains("2000 metrics");
        assertThat(metrics.count("tooManyNames")).isEqualTo(1);
        assertThat(metrics.count("tooLate")).isZero();
    }

    /** The id of such an event is not remembered, nor did it move the clock. */
    @Test
    void whatWasSetAsideChangedNothing() throws Exception {
        fold.process(named("1", T, 0, 1_000), named("2", T, 1_000, 1_000), named("3", T + 5 * LATENESS, 3_000, 900));
        fold.process(Events.event("d", "in time", T - LATENESS), named("3", T, 0, 1));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2", "d/in time", "d/3");
    }

    @Test
    void namesEndWithTheLargestWindowAndTheLatenessOfTheDevicesOwnClock() throws Exception {
        fold.process(named("1", T, 0, 1_000), named("2", T + 10, 1_000, 1_000));
        fold.process(named("3", T + WINDOW, 2_000, 1), named("4", T + WINDOW + 1, 2_000, 1_000));
        fold.process(named("5", T + WINDOW + 1, 3_000, 1), named("6", T + WINDOW + 11, 3_000, 1_000));
        assertThat(fold.decisions())
                .containsExactly(
                        "accepted d/1",
                        "accepted d/2",
                        "accepted d/4",
                        "accepted d/6",
                        "set aside d/3",
                        "set aside d/5");
    }

    /** Whether and when there were flushes, prunings and restarts decides nothing. */
    @Test
    void howManyNamesAreKnownDependsOnTheEventsAlone() throws Exception {
        Random random = new Random(4);
        List<Event> log = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            long time = T + i * WINDOW / 20 - random.nextInt((int) LATENESS);
            log.add(named("" + i, time, random.nextInt(5_000), random.nextInt(400)));
        }
        fold.process(log);
        List<String> decided = fold.decisions();
        assertThat(decided).filteredOn(each -> each.startsWith("set aside")).hasSizeBetween(20, 180);
        for (int round = 0; round < 3; round++) {
            fold.close();
            fold = restored(null);
            List<String> accepted = new ArrayList<>();
            List<String> aside = new ArrayList<>();
            for (Event event : log) {
                fold.process(event);
                if (random.nextInt(10) == 0) {
                    fold.flush();
                }
                if (random.nextInt(40) == 0) {
                    take(accepted, aside);
                    OperatorSubtaskState snapshot = fold.snapshot();
                    fold.close();
                    fold = restored(snapshot);
                }
            }
            take(accepted, aside);
            accepted.addAll(aside);
            assertThat(accepted).isEqualTo(decided);
        }
    }

    private void take(List<String> accepted, List<String> aside) {
        for (String decision : fold.decisions()) {
            (decision.startsWith("accepted") ? accepted : aside).add(decision);
        }
    }

    /** So many metrics, counted from {@code first} on. */
    private static Event named(String id, long time, int first, int metrics) {
        Map<String, Double> readings = new HashMap<>();
        for (int i = 0; i < metrics; i++) {
            readings.put("m" + (first + i), 1.0);
        }
        return Events.event("d", id, time, 0, readings);
    }

    @Test
    void aTimerFreesTheIdsOfASilentDeviceAndKeepsItsClock() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.setTime(T + RETENTION);
        assertThat(fold.ids("d")).containsExactly("1");
        fold.setTime(T + RETENTION + 1);
        assertThat(fold.ids("d")).isEmpty();
        fold.process(after(RETENTION + 2, Events.event("d", "2", T)));
        assertThat(fold.accepted()).containsExactly("d/1");
        assertThat(fold.late()).hasSize(1);
    }

    @Test
    void oneTimerADeviceFollowsItWhileItLives() throws Exception {
        for (int i = 0; i < 50; i++) {
            fold.setTime(T + i * 10_000L - 1);
            fold.process(after(i * 10_000L, Events.event("d", "" + i, T + i)));
            assertThat(fold.deviceTimers()).isEqualTo(1);
        }
        assertThat(fold.accepted()).hasSize(50);
        fold.setTime(T + 490_000 + RETENTION + 1);
        assertThat(fold.ids("d")).isEmpty();
        assertThat(fold.deviceTimers()).isEqualTo(1);
        fold.process(after(490_000 + RETENTION + 2, Events.event("d", "back", T + WINDOW)));
        assertThat(fold.deviceTimers()).isEqualTo(1);
    }

    @Test
    void countsWhatItDecided() throws Exception {
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "2", T));
        fold.process(Events.event("d", "1", T));
        fold.process(Events.event("d", "3", T - LATENESS - 1));
        assertThat(metrics.count("accepted")).isEqualTo(2);
        assertThat(metrics.count("duplicates")).isEqualTo(1);
        assertThat(metrics.count("tooLate")).isEqualTo(1);
    }

    /** A crash at any event, a restore and a replay decide every event as an undisturbed run does. */
    @Test
    void aReplayAfterARestoreDecidesTheSame() throws Exception {
        List<Event> events = disorderedEvents();
        fold.process(events);
        List<String> undisturbed = fold.decisions();
        assertThat(fold.accepted()).hasSizeGreaterThan(100);
        assertThat(fold.late()).hasSizeGreaterThan(10);
        assertThat(metrics.count("duplicates")).isGreaterThan(10);
        for (int checkpoint = 0; checkpoint < events.size(); checkpoint += 37) {
            FoldHarness before = restored(null);
            before.process(events.subList(0, checkpoint));
            OperatorSubtaskState snapshot = before.snapshot();
            List<String> decided = before.decisions();
            // What follows the checkpoint is lost with the crash, and must leave no trace.
            before.process(events.subList(checkpoint, Math.min(checkpoint + 50, events.size())));
            before.close();
            FoldHarness replayed = restored(snapshot);
            replayed.setProcessingTime(NOW + 3 * DEVICE_RETENTION);
            replayed.process(events.subList(checkpoint, events.size()));
            decided.addAll(replayed.decisions());
            assertThat(decided).containsExactlyInAnyOrderElementsOf(undisturbed);
            replayed.close();
        }
    }

    /** What other devices do in between has no say. */
    @Test
    void decisionsOfADeviceDependOnItsOwnEventsAlone() throws Exception {
        List<Event> events = disorderedEvents();
        fold.process(events);
        for (String device : List.of("d0", "d1", "d2")) {
            FoldHarness alone = restored(null);
            events.stream().filter(event -> event.deviceId.equals(device)).forEach(alone::process);
            assertThat(alone.decisions())
                    .isEqualTo(fold.decisions().stream()
                            .filter(decision -> decision.contains(device + "/"))
                            .collect(Collectors.toList()));
            alone.close();
        }
    }

    private static List<Event> disorderedEvents() {
        Random random = new Random(11);
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < 400; i++) {
            long time = T + i * 100L - random.nextInt(8_000);
            events.add(Events.event("d" + random.nextInt(3), "e" + random.nextInt(100), time));
        }
        return events;
    }
}
