package io.telefold.fold;

import static io.telefold.event.Events.T;
import static io.telefold.event.Events.after;
import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.DeviceViews;
import io.telefold.view.GoldenViews;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Late and corrected events when a log is folded again: within the cut and beyond it. */
class DeviceFoldReplayTest {

    private static final long HORIZON = 8_000;
    private static final long LATENESS = 5_000;
    private static final long RETENTION = 100_000;
    private static final long DEVICE_RETENTION = 20 * RETENTION;
    private static final long WINDOW = 60_000;
    private static final long NOW = 1_000;
    private static final Cut CUT = Cut.of(Map.of("shardId-000000000000", "999"));

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
        fold = open(Corrections.none(), null);
    }

    @AfterEach
    void close() throws Exception {
        fold.close();
    }

    private FoldHarness open(Corrections corrections, OperatorSubtaskState snapshot) throws Exception {
        return FoldHarness.open(operator(corrections), backend(), metrics, NOW, snapshot);
    }

    private DeviceFold operator(Corrections corrections) throws Exception {
        TimeRules rules = new TimeRules(HORIZON, LATENESS, RETENTION, WINDOW, DEVICE_RETENTION, 1, 1);
        DeviceViews views = GoldenViews.MINUTES.views();
        return new DeviceFold(rules, CUT, corrections, views, 1_000, maxRows(), cacheBytes());
    }

    @Test
    void withinTheCutNothingIsTooLate() throws Exception {
        fold.process(within("d", "new", T));
        fold.process(within("d", "late", T - 1_000_000_000));
        fold.process(within("d", "newer", T + 1));
        assertThat(fold.accepted()).containsExactly("d/new", "d/late", "d/newer");
        assertThat(fold.late()).isEmpty();
    }

    @Test
    void aDuplicateWithinTheCutIsFoundHoweverLateItIs() throws Exception {
        fold.process(within("d", "1", T));
        for (int i = 0; i < 20; i++) {
            fold.process(within("d", "step " + i, T + i * HORIZON));
        }
        fold.process(within("d", "1", T));
        fold.process(within("d", "late", T - 1_000_000));
        fold.process(within("d", "late", T - 1_000_000));
        assertThat(metrics.count("accepted")).isEqualTo(22);
        assertThat(metrics.count("duplicates")).isEqualTo(2);
        assertThat(fold.ids("d")).hasSize(22);
    }

    @Test
    void ofTheNamesOfALifeWithinTheCutThoseThatWereForgottenHaveAnEnd() throws Exception {
        DeviceViews views = GoldenViews.MINUTES.views();
        int names = views.maxMetrics / 2;
        for (int i = 0; i < 10; i++) {
            Map<String, Double> readings = new HashMap<>();
            for (int name = 0; name < names; name++) {
                readings.put("m" + (i * names + name), 1.0);
            }
            fold.process(Events.event("d", "e" + i, T + i * (WINDOW + 1), 0, readings));
            fold.flush();
            assertThat(DeviceState.of(fold.kept("d"), views.sizes()).latest)
                    .hasSizeLessThanOrEqualTo(views.maxMetrics + views.maxMetrics / 4)
                    .containsKeys(readings.keySet().toArray(new String[0]));
        }
        assertThat(metrics.count("accepted")).isEqualTo(10);
        assertThat(FoldHarness.stored(fold.rows()).keySet())
                .filteredOn(key -> key.contains("latest#"))
                .hasSize(10 * names);
    }

    @Test
    void theClockThatTheCutLeftJudgesTheFirstEventBeyondIt() throws Exception {
        fold.process(within("d", "newest", T));
        fold.process(within("d", "late", T - 1_000_000));
        fold.process(beyond("d", "too late", T - LATENESS - 1));
        fold.process(beyond("d", "in time", T - LATENESS));
        assertThat(fold.accepted()).containsExactly("d/newest", "d/late", "d/in time");
        assertThat(fold.late()).hasSize(1);
        assertThat(fold.late().get(0).eventId).isEqualTo("too late");
    }

    @Test
    void aCopyBeyondTheCutOfAnEventWithinItIsADuplicate() throws Exception {
        fold.process(within("d", "1", T));
        fold.process(beyond("d", "1", T));
        assertThat(fold.accepted()).containsExactly("d/1");
        assertThat(metrics.count("duplicates")).isEqualTo(1);
    }

    @Test
    void theFirstEventBeyondTheCutPrunesWhatTheHorizonLeavesBehind() throws Exception {
        fold.process(within("d", "old", T - 1_000_000));
        fold.process(within("d", "kept", T));
        fold.process(within("d", "older", T - 2_000_000));
        assertThat(fold.ids("d")).containsExactly("kept", "old", "older");
        fold.process(beyond("d", "next", T + 1));
        assertThat(fold.ids("d")).containsExactly("kept", "next");
    }

    @Test
    void aDuplicateIsAsGoodAsAnyToPruneBy() throws Exception {
        fold.process(within("d", "old", T - 1_000_000));
        fold.process(within("d", "kept", T));
        fold.process(beyond("d", "kept", T));
        assertThat(fold.ids("d")).containsExactly("kept");
    }

    @Test
    void withinTheCutSilenceForgetsNothing() throws Exception {
        fold.process(within("d", "1", T));
        fold.setTime(T + 10 * RETENTION);
        fold.process(after(10 * RETENTION + 1, within("d", "1", T)));
        fold.process(after(10 * RETENTION + 1, within("d", "2", T)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/2");
        assertThat(metrics.count("duplicates")).isEqualTo(1);
        assertThat(fold.deviceTimers()).isEqualTo(1);
    }

    @Test
    void countersOfADeviceThatWasGoneBeginAnewWithinTheCutAsBeyondIt() throws Exception {
        for (long putBack : List.of(0L, 3 * DEVICE_RETENTION)) {
            for (int cut = 0; cut <= 4; cut++) {
                long later = DEVICE_RETENTION + 1_001 - putBack;
                List<Event> log = List.of(
                        counting("1", T, 0, 100),
                        counting("2", T + 1, 1_000, 110),
                        counting("3", T + later, 1_001 + DEVICE_RETENTION, 150),
                        counting("4", T + later + 1, 1_002 + DEVICE_RETENTION, 155));
                FoldHarness one = open(Corrections.none(), null);
                for (int number = 0; number < log.size(); number++) {
                    one.process(numbered(number < cut ? "999" : "1000", log.get(number)));
                    one.flush();
                }
                assertThat(one.late()).isEmpty();
                assertThat(FoldHarness.stored(one.takeRows()).values())
                        .filteredOn(row -> row.get("data").has("increase"))
                        .extracting(row -> row.get("data").get("increase").doubleValue())
                        .containsExactlyInAnyOrder(10.0, 5.0);
                one.process(after(DEVICE_RETENTION + 1_003, beyond("d", "next", T + later + 2)));
                assertThat(one.late()).isEmpty();
                one.close();
            }
        }
    }

    private static Event counting(String id, long time, long arrivedAfter, double value) {
        return after(arrivedAfter, Events.event("d", id, time, 0, Map.of("energy", value)));
    }

    @Test
    void aDeviceThatSentNothingButWhatIsWithinTheCutIsForgottenInItsTime() throws Exception {
        fold.process(within("d", "1", T));
        fold.setTime(T + DEVICE_RETENTION);
        assertThat(fold.ids("d")).containsExactly("1");
        fold.setTime(T + DEVICE_RETENTION + 1);
        fold.flush();
        assertThat(fold.kept("d")).isNull();
        assertThat(fold.deviceTimers()).isZero();
    }

    @Test
    void silenceSinceTheCutClosesWindowsToWhatComesBeyondTheCut() throws Exception {
        fold.process(within("d", "1", T));
        fold.process(after(RETENTION + 1, beyond("d", "2", T + 1)));
        fold.process(after(RETENTION + 1, beyond("d", "3", T + WINDOW)));
        assertThat(fold.accepted()).containsExactly("d/1", "d/3");
        assertThat(fold.late()).hasSize(1);
        assertThat(fold.deviceTimers()).isEqualTo(1);
    }

    @Test
    void aCorrectionIsCountedAndOtherwiseNotThere() throws Exception {
        for (Event each : List.of(within("d", "c1", T + 1_000_000), beyond("d", "c2", T - 1_000_000))) {
            fold.process(correcting("1", each));
        }
        fold.process(beyond("d", "c1", T));
        fold.process(beyond("d", "1", T - LATENESS));
        assertThat(fold.accepted()).containsExactly("d/c1", "d/1");
        assertThat(fold.late()).isEmpty();
        assertThat(metrics.count("corrections")).isEqualTo(2);
        assertThat(metrics.count("accepted")).isEqualTo(2);
    }

    @Test
    void anEventWithinTheCutIsFoldedAsCorrectedAndOneBeyondItAsSent() throws Exception {
        fold.close();
        fold = open(corrections(), null);
        fold.process(within("d", "1", T));
        fold.process(within("d", "1", T));
        fold.process(beyond("e", "1", T));
        assertThat(fold.accepted()).containsExactly("d/1", "e/1");
        List<Event> rows = fold.acceptedEvents();
        assertThat(rows.get(0).eventTime).isEqualTo(T + 7_000);
        assertThat(rows.get(0).metrics).isEqualTo(Map.of("temperature", 2.0));
        assertThat(rows.get(1).eventTime).isEqualTo(T);
        assertThat(rows.get(1).metrics).isEqualTo(Map.of());
        assertThat(metrics.count("duplicates")).isEqualTo(1);
    }

    @Test
    void theTimeOfACorrectionMovesTheClock() throws Exception {
        fold.close();
        fold = open(corrections(), null);
        fold.process(within("d", "1", T));
        fold.process(beyond("d", "too late", T + 7_000 - LATENESS - 1));
        fold.process(beyond("d", "in time", T + 7_000 - LATENESS));
        assertThat(fold.accepted()).containsExactly("d/1", "d/in time");
    }

    /** And so the job may read the files of an archive in any order that keeps to the cut. */
    @Test
    void theOrderWithinTheCutDoesNotMatter() throws Exception {
        List<Event> log = new ArrayList<>();
        Random random = new Random(5);
        for (int i = 0; i < 300; i++) {
            String device = "d" + random.nextInt(3);
            // One copy has the time of another, as copies do; ids are not unique among devices.
            int id = random.nextInt(60);
            log.add(numbered("999", Events.event(device, "" + id, T - id * 10_000L, 0, Map.of("t", (double) id))));
        }
        Map<String, Object> inOrder = decided(log);
        assertThat(inOrder.keySet()).filteredOn(key -> key.startsWith("d1/")).hasSizeGreaterThan(50);
        assertThat(inOrder.keySet())
                .filteredOn(key -> key.startsWith("device#d1 "))
                .hasSizeGreaterThan(10);
        for (int shuffle = 0; shuffle < 20; shuffle++) {
            Collections.shuffle(log, random);
            assertThat(decided(log)).isEqualTo(inOrder);
        }
    }

    /** Accepted events and what their rows come to, by key, after the first events beyond the cut too. */
    private Map<String, Object> decided(List<Event> log) throws Exception {
        Corrections corrections = Corrections.parse("[{\"device_id\": \"d1\", \"corrects\": \"7\","
                + " \"event_time\": " + (T + 3) + ", \"sequence\": 0, \"metrics\": {\"temperature\": 2.0}}]");
        FoldHarness one = open(corrections, null);
        one.process(log);
        assertThat(one.late()).isEmpty();
        for (String device : List.of("d0", "d1", "d2")) {
            for (long behind = LATENESS - 5; behind < LATENESS + 5; behind++) {
                one.process(beyond(device, "beyond " + behind, T - behind));
            }
        }
        assertThat(one.late()).isNotEmpty();
        one.flush();
        Map<String, Object> decided = new TreeMap<>();
        FoldHarness.stored(one.takeRows()).forEach((key, row) -> decided.put(key, withoutIncrease(row)));
        for (Event event : one.acceptedEvents()) {
            Object before = decided.put(event.deviceId + "/" + event.eventId, Events.bytes(event));
            assertThat(before).isNull();
        }
        one.close();
        return decided;
    }

    /** By how much a counter rose depends on the order of its readings. */
    private static JsonNode withoutIncrease(JsonNode row) {
        JsonNode copy = FoldHarness.rounded(List.of(row)).get(0);
        ((ObjectNode) copy.get("data")).remove("increase");
        return copy;
    }

    /** Into stores that have the whole it changes nothing, and into empty ones it brings nothing that they never had. */
    @Test
    void aReplayOfAnyPartEmitsOnlyRowsThatAWholeOneMightHave() throws Exception {
        Random random = new Random(8);
        List<Event> log = log(random);
        Set<JsonNode> ever = new HashSet<>();
        FoldHarness whole = open(Corrections.none(), null);
        for (Event event : log) {
            whole.process(event);
            whole.flush();
            ever.addAll(whole.takeRows());
        }
        assertThat(whole.late()).isNotEmpty();
        whole.close();
        Map<String, JsonNode> stored = FoldHarness.stored(ever);
        for (int round = 0; round < 60; round++) {
            long since = T + random.nextInt(log.size());
            long until = since + 1 + random.nextInt(log.size());
            List<JsonNode> rows = replayed(log, since, until, random);
            assertThat(ever).containsAll(rows);
            List<JsonNode> beforeThem = new ArrayList<>(stored.values());
            beforeThem.addAll(rows);
            assertThat(FoldHarness.stored(beforeThem)).isEqualTo(stored);
        }
        assertThat(FoldHarness.stored(replayed(log, T, T + log.size(), random))).isEqualTo(stored);
        assertThat(replayed(log, T + log.size() - 1, T + log.size(), random)).hasSizeLessThan(10);
    }

    private List<JsonNode> replayed(List<Event> log, long since, long until, Random random) throws Exception {
        FoldHarness part =
                FoldHarness.open(operator(Corrections.none()).emittingSince(since), backend(), metrics, NOW, null);
        List<JsonNode> rows = new ArrayList<>();
        for (Event event : log) {
            if (event.arrival < until) {
                part.process(event);
            }
            if (random.nextInt(20) == 0) {
                part.flush();
            }
        }
        part.flush();
        rows.addAll(part.takeRows());
        part.close();
        return rows;
    }

    /** One arrives each millisecond: some late, some too late, of times and sequences that tie. */
    private static List<Event> log(Random random) {
        List<Event> log = new ArrayList<>();
        for (int i = 0; i < 300; i++) {
            long time = T + i * 400L - (random.nextInt(4) == 0 ? random.nextInt((int) (2 * LATENESS)) : 0);
            time -= time % 2_000;
            Event event =
                    Events.event("d" + random.nextInt(2), "e" + i, time, random.nextInt(3), Map.of("t", (double) i));
            event.arrival = T + i;
            log.add(numbered("1000", event));
        }
        return log;
    }

    @Test
    void aRestoreInTheMiddleOfAReplayForgetsNothing() throws Exception {
        fold.process(within("d", "1", T));
        fold.process(within("d", "late", T - 1_000_000));
        OperatorSubtaskState snapshot = fold.snapshot();
        fold.close();
        fold = open(Corrections.none(), snapshot);
        fold.setTime(T + 2 * RETENTION);
        fold.process(within("d", "late", T - 1_000_000));
        fold.process(within("d", "later", T - 2_000_000));
        assertThat(fold.accepted()).containsExactly("d/later");
        assertThat(metrics.count("duplicates")).isEqualTo(1);
    }

    /** Event 1 of device d happened 7 s later than it said, at 2 degrees; so did that of e. */
    private static Corrections corrections() throws Exception {
        String values = "\"corrects\": \"1\", \"event_time\": " + (T + 7_000)
                + ", \"sequence\": 3, \"metrics\": {\"temperature\": 2.0}}";
        return Corrections.parse("[{\"device_id\": \"d\", " + values + ", {\"device_id\": \"e\", " + values + "]");
    }

    private static Event within(String device, String id, long time) {
        return numbered("999", Events.event(device, id, time));
    }

    private static Event beyond(String device, String id, long time) {
        return numbered("1000", Events.event(device, id, time));
    }

    private static Event numbered(String sequenceNumber, Event event) {
        event.sequenceNumber = sequenceNumber;
        return event;
    }

    private static Event correcting(String eventId, Event made) {
        made.corrects = eventId;
        return made;
    }
}
