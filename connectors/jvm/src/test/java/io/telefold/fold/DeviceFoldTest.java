package io.telefold.fold;

import static io.telefold.event.Events.after;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.GoldenViews;
import io.telefold.view.Unpacked;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which rows leave, when, and what is kept for those that follow. */
class DeviceFoldTest {

    private static final long MINUTE = 60_000;
    private static final long HOUR = 60 * MINUTE;
    private static final long LATENESS = 5 * MINUTE;
    private static final long HORIZON = 10 * MINUTE;
    private static final long RETENTION = 100_000;
    private static final long DEVICE_RETENTION = 20 * RETENTION;
    private static final long INTERVAL = 1_000;
    private static final long NOW = 500;
    private static final long NEVER = Long.MAX_VALUE / 4;

    /** 2026-01-31T12:00:00Z */
    private static final long NOON = 1_769_860_800_000L;

    /** The end of the sort keys of blocks: when the device was first heard of. */
    private static final String SINCE = "#" + Events.T / 1_000;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private FoldHarness fold;
    private int events;

    StateBackend backend() {
        return new HashMapStateBackend();
    }

    @BeforeEach
    void open() throws Exception {
        fold = open(GoldenViews.MINUTES_AND_HOURS, INTERVAL, 100_000, NOW, null);
    }

    private void reopen(GoldenViews views, long intervalMs, int maxRows) throws Exception {
        fold.close();
        fold = open(views, intervalMs, maxRows, NOW, null);
    }

    private FoldHarness open(GoldenViews views, long intervalMs, int maxRows, long now, OperatorSubtaskState snapshot)
            throws Exception {
        DeviceFold operator = new DeviceFold(
                new TimeRules(HORIZON, LATENESS, RETENTION, HOUR, DEVICE_RETENTION, 1, 1),
                Cut.of(Map.of("shardId-000000000000", "999")),
                Corrections.none(),
                views.views(),
                intervalMs,
                maxRows);
        return FoldHarness.open(operator, backend(), metrics, now, snapshot);
    }

    @AfterEach
    void close() throws Exception {
        fold.close();
    }

    @Test
    void aDeviceIsAnItemInALineOfJson() throws Exception {
        fold.process(event("d", NOON + 61_000, Map.of("t", 21.5)));
        fold.flush();
        assertThat(fold.batches()).hasSize(1);
        assertThat(fold.batches().get(0).getField(0)).isEqualTo(1);
        JsonNode line = fold.lines().get(0);
        JsonNode packed = ((ObjectNode) line.deepCopy()).remove("packed");
        assertThat(packed.textValue()).startsWith("Anic");
        assertThat(((ObjectNode) line.deepCopy()).without("packed").toString())
                .isEqualTo("{\"view\":\"packed\",\"partition\":\"device#d\",\"sort\":\"latest\",\"version\":"
                        + (Events.T << 20) + ",\"expires_at\":null,\"changed\":[\"latest#t\","
                        + "\"rollup#1m#t#2026-01-31T12:01:00Z\",\"rollup#1h#t#2026-01-31T12:00:00Z\"]}");
        String data = "\"data\":{\"count\":1,\"sum\":21.5,\"min\":21.5,\"max\":21.5,\"m2\":0.0,"
                + "\"first_at\":1769860861000,\"first\":21.5,\"last_at\":1769860861000,\"last\":21.5,\"increase\":0.0}}";
        String rollup = "{\"view\":\"rollups\",\"partition\":\"device#d\",\"sort\":\"rollup#";
        assertThat(Unpacked.all(line).stream().map(JsonNode::toString))
                .containsExactly(
                        "{\"view\":\"latest\",\"partition\":\"device#d\",\"sort\":\"latest#t\","
                                + "\"version\":1855833622183936001,\"expires_at\":null,"
                                + "\"data\":{\"value\":21.5,\"at\":1769860861000}}",
                        rollup + "1m#t#2026-01-31T12:01:00Z\",\"version\":1,\"expires_at\":1777636920," + data,
                        rollup + "1h#t#2026-01-31T12:00:00Z\",\"version\":1,\"expires_at\":1777640400," + data);
    }

    /** The head has the current windows alone, a block all that are over. */
    @Test
    void aWindowThatIsOverLeavesTheHeadForItsBlock() throws Exception {
        reopen(GoldenViews.MINUTES, INTERVAL, 100_000);
        for (int minute = 0; minute < 25; minute++) {
            fold.process(event("d", NOON + minute * MINUTE, Map.of("t", 1.0 * minute)));
            fold.flush();
        }
        Map<String, JsonNode> items = FoldHarness.stored(fold.lines());
        assertThat(sorts(items, "latest")).containsExactly("latest#t", "rollup#1m#t#2026-01-31T12:24:00Z");
        assertThat(sorts(items, "rollups#1m#2026-01-31T12:00:00Z" + SINCE))
                .hasSize(20)
                .last()
                .isEqualTo("rollup#1m#t#2026-01-31T12:19:00Z");
        assertThat(sorts(items, "rollups#1m#2026-01-31T12:20:00Z" + SINCE)).hasSize(5);
        assertThat(items.get("device#d rollups#1m#2026-01-31T12:00:00Z" + SINCE)
                        .get("version")
                        .longValue())
                .isEqualTo(20);
        assertThat(items.get("device#d rollups#1m#2026-01-31T12:00:00Z" + SINCE)
                        .get("expires_at")
                        .longValue())
                .isEqualTo(NOON / 1_000 + 20 * 60 + 90 * 86_400);
    }

    /** However late: its windows are kept until none of them can change. */
    @Test
    void aLateEventRewritesTheWholeOfItsBlock() throws Exception {
        reopen(GoldenViews.MINUTES, INTERVAL, 100_000);
        for (int minute = 0; minute <= 24; minute++) {
            fold.process(event("d", NOON + minute * MINUTE, Map.of("t", 1.0, "u", 2.0)));
            fold.flush();
        }
        fold.takeRows();
        fold.process(event("d", NOON + 19 * MINUTE + 1, Map.of("u", 5.0)));
        fold.flush();
        assertThat(fold.lines())
                .extracting(line -> line.get("sort").textValue())
                .containsExactly("rollups#1m#2026-01-31T12:00:00Z" + SINCE);
        assertThat(Unpacked.all(fold.lines().get(0))).hasSize(40);
        assertThat(taken()).containsExactly("rollup#1m#u#2026-01-31T12:19:00Z = 2");
    }

    @Test
    void ofADeviceWithManyMetricsThePartsLeaveThatChanged() throws Exception {
        reopen(GoldenViews.MINUTES, INTERVAL, 100_000);
        Map<String, Double> readings = new LinkedHashMap<>();
        for (int i = 0; i < 200; i++) {
            readings.put("metric " + i, (double) i);
        }
        fold.process(event("d", NOON, readings));
        fold.flush();
        Map<String, JsonNode> items = FoldHarness.stored(fold.lines());
        assertThat(items.keySet())
                .containsExactlyInAnyOrder(
                        "device#d latest.0of4", "device#d latest.1of4", "device#d latest.2of4", "device#d latest.3of4");
        assertThat(items.values().stream().mapToInt(item -> Unpacked.all(item).size()))
                .allMatch(rows -> rows < 2 * 75);
        assertThat(fold.takeRows()).hasSize(400);
        fold.process(event("d", NOON + MINUTE, Map.of("metric 7", 1.0)));
        fold.flush();
        assertThat(fold.lines())
                .extracting(line -> line.get("sort").textValue())
                .allMatch(sort -> sort.startsWith("latest.")
                        || sort.matches("rollups#1m#2026-01-31T12:00:00Z" + SINCE + "#[0-3]of4"));
        assertThat(fold.lines()).hasSize(5);
    }

    /** The same hours, of which the blocks before the silence hold what nobody could write again. */
    @Test
    void whatComesAfterASilenceGoesToOtherBlocks() throws Exception {
        Map<String, JsonNode> before = new TreeMap<>();
        List<JsonNode> lines = new ArrayList<>();
        for (int hour = 0; hour < 8; hour++) {
            long since = hour < 5 ? hour : RETENTION + hour;
            fold.process(after(since, event("d", NOON + hour * HOUR, Map.of("t", 1.0 * hour))));
            fold.flush();
            lines.addAll(fold.lines());
            fold.takeRows().forEach(row -> before.put(row.get("sort").textValue(), row));
        }
        assertThat(fold.late()).isEmpty();
        assertThat(before).hasSize(17);
        assertThat(newestOfItems(lines)).isEqualTo(before);
        assertThat(lines)
                .extracting(line -> line.get("sort").textValue())
                .contains(
                        "rollups#1h#2026-01-31T04:00:00Z" + SINCE,
                        "rollups#1h#2026-01-31T04:00:00Z#" + (Events.T + RETENTION + 5) / 1_000);
    }

    private static Map<String, JsonNode> newestOfItems(List<JsonNode> lines) {
        Map<String, JsonNode> held = new TreeMap<>();
        for (JsonNode item : FoldHarness.stored(lines).values()) {
            for (JsonNode row : Unpacked.all(item)) {
                held.merge(
                        row.get("sort").textValue(),
                        row,
                        (one, other) -> one.get("version").longValue()
                                        >= other.get("version").longValue()
                                ? one
                                : other);
            }
        }
        return held;
    }

    /** Head, late windows, silence and forgetting: each row is somewhere in its last state. */
    @Test
    void theItemsOfALogHoldTheRowsOfItsEnd() throws Exception {
        Random random = new Random(5);
        Map<String, JsonNode> rows = new TreeMap<>();
        long time = NOON;
        List<JsonNode> lines = new ArrayList<>();
        for (int i = 0; i < 1_000; i++) {
            time += random.nextInt(40_000);
            long late = random.nextInt(10) == 0 ? random.nextInt((int) LATENESS) : 0;
            fold.process(after(time - NOON, event("d", time - late, Map.of("t", 1.0 * random.nextInt(9)))));
            if (random.nextInt(4) == 0 || i == 999) {
                fold.flush();
                lines.addAll(fold.lines());
                fold.takeRows().forEach(row -> rows.put(row.get("sort").textValue(), row));
            }
        }
        assertThat(newestOfItems(lines)).isEqualTo(rows);
    }

    private static List<String> sorts(Map<String, JsonNode> items, String sort) {
        return Unpacked.all(items.get("device#d " + sort)).stream()
                .map(row -> row.get("sort").textValue())
                .collect(Collectors.toList());
    }

    @Test
    void rowsExpireSoLongAfterTheirReadingOrTheirWindow() throws Exception {
        reopen(GoldenViews.THREE_SIZES, INTERVAL, 100_000);
        fold.process(event("d", NOON + 1_999, Map.of("t", 1.0)));
        fold.flush();
        long day = 86_400;
        long noon = NOON / 1000;
        assertThat(newest("latest#t").get("expires_at").longValue()).isEqualTo(noon + 1 + day);
        assertThat(newest("rollup#1m#t#2026-01-31T12:00:00Z").get("expires_at").longValue())
                .isEqualTo(noon + 60 + 7 * day);
        assertThat(newest("rollup#1d#t#2026-01-31T00:00:00Z").get("expires_at").longValue())
                .isEqualTo(noon + day / 2 + 7 * day);
    }

    @Test
    void namesMayHoldWhateverJsonHasToEscape() throws Exception {
        StringBuilder all = new StringBuilder("\"\\\u2028\u0085é☃😀,[]{}");
        for (char control = 0; control < ' '; control++) {
            all.append(control);
        }
        String name = all.toString();
        fold.process(event(name, NOON, Map.of(name, 1.0)), event("e", NOON, Map.of("t", 1.0)));
        fold.flush();
        assertThat(fold.batches().get(0).getField(0)).isEqualTo(2);
        List<JsonNode> rows = fold.takeRows();
        assertThat(rows).hasSize(6);
        assertThat(rows)
                .filteredOn(row -> row.get("partition").textValue().equals("device#" + name))
                .extracting(row -> row.get("sort").textValue())
                .containsExactlyInAnyOrder(
                        "latest#" + name,
                        "rollup#1m#" + name + "#2026-01-31T12:00:00Z",
                        "rollup#1h#" + name + "#2026-01-31T12:00:00Z");
    }

    @Test
    void aRowLeavesOnceAFlushHoweverOftenItChanged() throws Exception {
        for (int i = 0; i < 50; i++) {
            fold.process(event("d", NOON + i, Map.of("t", (double) i)));
        }
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T12:00:00Z = 50", "rollup#1m#t#2026-01-31T12:00:00Z = 50", "t = 49.0");
        assertThat(metrics.count("rowsOut")).isEqualTo(1);
        assertThat(metrics.count("flushes")).isEqualTo(1);
    }

    @Test
    void aFlushTellsHowManyRowsLeftAndForHowLongTheOldestHadWaited() throws Exception {
        assertThat(metrics.value("freshnessMs")).isEqualTo(0L);
        fold.process(arrived(event("d", NOON, Map.of("t", 1.0)), NOW - 300));
        fold.process(arrived(event("d", NOON, Map.of("t", 2.0)), NOW - 700));
        fold.process(arrived(event("d", NOON, Map.of("t", 3.0)), NOW - 100));
        assertThat(metrics.value("freshnessMs")).isEqualTo(700L);
        fold.flush();
        assertThat(metrics.value("flushRows")).isEqualTo(1L);
        assertThat(metrics.value("freshnessMs")).isEqualTo(0L);
    }

    @Test
    void whatArrivedAheadOfOurClockIsFresh() throws Exception {
        fold.process(arrived(event("d", NOON, Map.of("t", 1.0)), NOW + 40));
        assertThat(metrics.value("freshnessMs")).isEqualTo(0L);
    }

    private static Event arrived(Event event, long arrival) {
        event.arrival = arrival;
        return event;
    }

    @Test
    void onlyChangedRowsLeave() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0, "u", 2.0)), event("e", NOON, Map.of("t", 3.0)));
        fold.flush();
        assertThat(fold.takeRows()).hasSize(9);
        fold.process(event("d", NOON + MINUTE, Map.of("u", 4.0)));
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#u#2026-01-31T12:00:00Z = 2", "rollup#1m#u#2026-01-31T12:01:00Z = 1", "u = 4.0");
        fold.flush();
        assertThat(fold.batches()).isEmpty();
    }

    @Test
    void whatIsNotFoldedChangesNoRow() throws Exception {
        Event first = event("d", NOON + HOUR, Map.of("t", 1.0));
        Event correction = event("d", NOON + HOUR, Map.of("t", 9.0));
        correction.corrects = "any";
        fold.process(first);
        fold.flush();
        fold.takeRows();
        fold.process(first, event("d", NOON, Map.of("t", 2.0)), correction, event("d", NOON + HOUR, Map.of()));
        fold.flush();
        assertThat(fold.batches()).isEmpty();
        assertThat(fold.accepted()).hasSize(2);
        assertThat(fold.late()).hasSize(1);
    }

    @Test
    void aLateEventCountsInItsOwnWindowWhichIsInTheHeap() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0)), event("d", NOON + 2 * MINUTE, Map.of("t", 2.0)));
        fold.process(event("d", NOON + 1, Map.of("t", 4.0)));
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T12:00:00Z = 3",
                        "rollup#1m#t#2026-01-31T12:00:00Z = 2",
                        "rollup#1m#t#2026-01-31T12:02:00Z = 1",
                        "t = 2.0");
    }

    @Test
    void aLateEventCountsInItsOwnWindowWhichIsInState() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0, "u", 1.0)));
        fold.process(event("d", NOON + 2 * MINUTE, Map.of("t", 2.0)));
        fold.flush();
        fold.takeRows();
        fold.process(event("d", NOON + 1, Map.of("t", 4.0)));
        fold.flush();
        assertThat(newest("rollup#1m#t#2026-01-31T12:00:00Z").get("data").toString())
                .isEqualTo("{\"count\":2,\"sum\":5.0,\"min\":1.0,\"max\":4.0,\"m2\":4.5,"
                        + "\"first_at\":1769860800000,\"first\":1.0,\"last_at\":1769860800001,\"last\":4.0,"
                        + "\"increase\":0.0}");
        assertThat(taken())
                .containsExactly("rollup#1h#t#2026-01-31T12:00:00Z = 3", "rollup#1m#t#2026-01-31T12:00:00Z = 2");
    }

    /** Each size turns to its next window, and back for a late event, at times of its own. */
    @Test
    void windowsOfEverySizeFollowOneAnother() throws Exception {
        reopen(GoldenViews.THREE_SIZES, INTERVAL, 100_000);
        long midnight = NOON + 12 * HOUR;
        long[] times = {midnight - 61_000, midnight - 1, midnight - 60_500, midnight, midnight + 61_000, midnight - 2};
        Map<String, Long> counts = new TreeMap<>();
        for (long time : times) {
            fold.process(event("d", time, Map.of("t", 1.0)));
            fold.flush();
        }
        fold.takeRows().stream()
                .filter(row -> row.get("view").textValue().equals("rollups"))
                .forEach(row -> counts.put(
                        row.get("sort").textValue(), row.get("version").longValue()));
        assertThat(counts)
                .isEqualTo(Map.of(
                        "rollup#1m#t#2026-01-31T23:58:00Z", 2L,
                        "rollup#1m#t#2026-01-31T23:59:00Z", 2L,
                        "rollup#1m#t#2026-02-01T00:00:00Z", 1L,
                        "rollup#1m#t#2026-02-01T00:01:00Z", 1L,
                        "rollup#1h#t#2026-01-31T23:00:00Z", 4L,
                        "rollup#1h#t#2026-02-01T00:00:00Z", 2L,
                        "rollup#1d#t#2026-01-31T00:00:00Z", 4L,
                        "rollup#1d#t#2026-02-01T00:00:00Z", 2L));
    }

    @Test
    void theLatestReadingIsTheGreatestByTimeThenSequenceThenEventId() throws Exception {
        List<Event> readings = new ArrayList<>(List.of(
                Events.event("d", "1", NOON, 7, Map.of("t", 9.0)),
                Events.event("d", "2", NOON + 1, Long.MIN_VALUE, Map.of("t", 8.0)),
                Events.event("d", "3", NOON + 1, -1, Map.of("t", 7.0)),
                Events.event("d", "4", NOON + 1, 3, Map.of("t", -20.0)),
                Events.event("d", "\uFFFF", NOON + 1, 3, Map.of("t", 20.0)),
                Events.event("d", "😀", NOON + 1, 3, Map.of("t", -3.0)),
                Events.event("d", "😀6", NOON + 1, 3, Map.of("u", 1.0))));
        Random random = new Random(3);
        for (int round = 0; round < 50; round++) {
            reopen(GoldenViews.LATEST_ALONE, INTERVAL, round % 2 == 0 ? 1 : 100_000);
            Collections.shuffle(readings, random);
            fold.process(readings);
            fold.flush();
            JsonNode latest = newest("latest#t");
            assertThat(latest.get("data").toString()).isEqualTo("{\"value\":-3.0,\"at\":1769860800001}");
            assertThat(latest.get("version").longValue()).isEqualTo(((NOON + 1) << 20) + 5);
        }
    }

    /** A reading that ties and does not win is known to the version, so that no replay of a part can take it back. */
    @Test
    void theVersionOfALatestReadingGrowsWithEveryReadingOfItsTime() throws Exception {
        reopen(GoldenViews.LATEST_ALONE, INTERVAL, 1);
        for (long[] told : new long[][] {{0, 5}, {0, 4}, {-1, 9}, {0, 6}, {1, 0}}) {
            fold.process(
                    Events.event("d", "e" + told[0] + told[1], NOON + told[0], told[1], Map.of("t", 1.0 * told[1])));
        }
        assertThat(fold.rows())
                .extracting(row ->
                        row.get("version").longValue() + " " + row.get("data").get("value"))
                .containsExactly(
                        ((NOON << 20) + 1) + " 5.0",
                        ((NOON << 20) + 2) + " 5.0",
                        ((NOON << 20) + 3) + " 6.0",
                        ((NOON + 1 << 20) + 1) + " 0.0");
    }

    @Test
    void batchesHaveAtMostAThousandLines() throws Exception {
        for (int device = 0; device < 1_200; device++) {
            fold.process(event("d" + device, NOON, Map.of("t", 1.0)));
        }
        fold.flush();
        assertThat(fold.batches()).extracting(batch -> batch.getField(0)).containsExactly(1_000, 200);
        for (Row batch : fold.batches()) {
            assertThat(((String) batch.getField(1)).split("\n")).hasSize((int) batch.getField(0));
        }
        assertThat(FoldHarness.stored(fold.takeRows())).hasSize(3_600);
        assertThat(metrics.count("rowsOut")).isEqualTo(1_200);
        assertThat(metrics.count("flushes")).isEqualTo(1);
    }

    @Test
    void flushesAtSoManyRows() throws Exception {
        reopen(GoldenViews.MINUTES_AND_HOURS, NEVER, 7);
        fold.process(event("d", NOON, Map.of("t", 1.0)), event("d", NOON, Map.of("t", 2.0, "u", 1.0)));
        assertThat(fold.batches()).isEmpty();
        fold.process(event("d", NOON - 1, Map.of("t", 1.0)));
        assertThat(fold.takeRows()).hasSize(8);
        fold.process(event("d", NOON, Map.of("t", 1.0, "u", 1.0)));
        assertThat(fold.batches()).isEmpty();
    }

    @Test
    void flushesAtSoManyDevices() throws Exception {
        reopen(GoldenViews.MINUTES_AND_HOURS, NEVER, 4);
        fold.process(event("a", NOON, Map.of()), event("b", NOON, Map.of()), event("a", NOON, Map.of()));
        fold.process(event("c", NOON, Map.of("t", 1.0)));
        assertThat(fold.batches()).isEmpty();
        assertThat(fold.kept("a")).isNull();
        fold.process(event("e", NOON, Map.of()));
        assertThat(fold.takeRows()).hasSize(3);
        assertThat(fold.kept("a")).isNotNull();
    }

    @Test
    void flushesOnTheMultiplesOfItsInterval() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0)));
        fold.setProcessingTime(999);
        assertThat(fold.batches()).isEmpty();
        fold.setProcessingTime(1_000);
        assertThat(fold.takeRows()).hasSize(3);
        fold.process(event("d", NOON, Map.of("t", 1.0)));
        fold.setProcessingTime(1_999);
        assertThat(fold.batches()).isEmpty();
        fold.setProcessingTime(2_000);
        assertThat(fold.takeRows()).hasSize(3);
    }

    @Test
    void holdsNothingBackWhenABarrierPasses() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0)));
        assertThat(fold.kept("d")).isNull();
        fold.flush();
        assertThat(fold.batches()).hasSize(1);
        assertThat(fold.kept("d")).isNotNull();
        fold.flush();
        assertThat(fold.batches()).hasSize(1);
    }

    @Test
    void flushesAtTheEndOfItsInput() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0)));
        fold.finish();
        assertThat(fold.takeRows()).hasSize(3);
    }

    @Test
    void goesOnAfterARestoreFromWhereItWas() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 0.1)), event("d", NOON + MINUTE, Map.of("t", 0.2)));
        OperatorSubtaskState snapshot = fold.snapshot();
        fold.process(event("d", NOON, Map.of("t", 100.0)));
        fold.close();
        fold = open(GoldenViews.MINUTES_AND_HOURS, INTERVAL, 100_000, NOW, snapshot);
        fold.flush();
        assertThat(fold.batches()).isEmpty();
        fold.process(event("d", NOON + 1, Map.of("t", 0.3)), event("d", NOON + MINUTE, Map.of("t", 0.4)));
        fold.flush();
        JsonNode data = newest("rollup#1h#t#2026-01-31T12:00:00Z").get("data");
        assertThat(data.get("m2").doubleValue()).isCloseTo(0.05, within(1e-15));
        assertThat(data.get("count").longValue()).isEqualTo(4);
        assertThat(data.get("sum").doubleValue()).isEqualTo(0.1 + 0.2 + 0.3 + 0.4);
        assertThat(data.get("first").doubleValue()).isEqualTo(0.1);
        assertThat(data.get("last").doubleValue()).isEqualTo(0.4);
        // 0.3 is older than the newest, 0.4 came with the same time and a greater id.
        assertThat(data.get("increase").doubleValue()).isEqualTo(0.3);
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T12:00:00Z = 4",
                        "rollup#1m#t#2026-01-31T12:00:00Z = 2",
                        "rollup#1m#t#2026-01-31T12:01:00Z = 2",
                        "t = 0.4");
    }

    @Test
    void forgetsWindowsThatNoEventInTimeCanMeet() throws Exception {
        fold.process(event("d", NOON, Map.of("heard once", 1.0)));
        for (long minute = 0; minute <= 180; minute++) {
            fold.process(event("d", NOON + minute * MINUTE, Map.of("t", 1.0)));
            fold.flush();
            long oldestInTime = NOON + minute * MINUTE - LATENESS;
            long notYetPruned = HORIZON / 4;
            assertThat(fold.earlierWindows("d", "1m"))
                    .allMatch(start -> blockEnd(start, MINUTE) > oldestInTime - notYetPruned)
                    .hasSizeLessThanOrEqualTo(30);
            assertThat(fold.earlierWindows("d", "1h"))
                    .allMatch(start -> blockEnd(start, HOUR) > oldestInTime - notYetPruned);
            // From its newest reading a counter goes on, however late.
            assertThat(keeps("d", "heard once")).isTrue();
        }
        assertThat(fold.earlierWindows("d", "1h")).contains(NOON + 2 * HOUR);
        fold.takeRows();
        fold.process(event("d", NOON + 3 * HOUR - LATENESS, Map.of("t", 1.0, "heard once", 2.0)));
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "heard once = 2.0",
                        "rollup#1h#heard once#2026-01-31T14:00:00Z = 1",
                        "rollup#1h#t#2026-01-31T14:00:00Z = 61",
                        "rollup#1m#heard once#2026-01-31T14:55:00Z = 1",
                        "rollup#1m#t#2026-01-31T14:55:00Z = 2");
    }

    /** Their rows are due and leave first; what the flush writes to state is gone with the next pruning. */
    @Test
    void forgetsWhatAJumpOfTheClockLeftBehindInTheHeap() throws Exception {
        fold.process(event("d", NOON, Map.of("t", 1.0, "u", 1.0)), event("d", NOON + 5 * HOUR, Map.of("t", 2.0)));
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T12:00:00Z = 1",
                        "rollup#1h#t#2026-01-31T17:00:00Z = 1",
                        "rollup#1h#u#2026-01-31T12:00:00Z = 1",
                        "rollup#1m#t#2026-01-31T12:00:00Z = 1",
                        "rollup#1m#t#2026-01-31T17:00:00Z = 1",
                        "rollup#1m#u#2026-01-31T12:00:00Z = 1",
                        "t = 2.0",
                        "u = 1.0");
        fold.process(event("d", NOON + 100 * HOUR, Map.of("t", 3.0)));
        fold.process(event("d", NOON + 150 * HOUR, Map.of("t", 4.0)));
        fold.flush();
        fold.process(event("d", NOON + 200 * HOUR, Map.of("t", 5.0)));
        fold.flush();
        fold.process(event("d", NOON + 250 * HOUR, Map.of("t", 6.0)));
        assertThat(fold.earlierWindows("d", "1m")).isEmpty();
        assertThat(fold.earlierWindows("d", "1h")).isEmpty();
    }

    @Test
    void aSilentDeviceKeepsItsClockAndItsNewestReadingsAndLosesNoRow() throws Exception {
        reopen(GoldenViews.MINUTES_AND_HOURS, NEVER, 100_000);
        fold.process(event("d", NOON - 1, Map.of("unheard of", 1.0)), event("d", NOON, Map.of("unheard of", 2.0)));
        fold.flush();
        fold.takeRows();
        assertThat(fold.earlierWindows("d", "1m")).isNotEmpty();
        assertThat(fold.earlierWindows("d", "1h")).isNotEmpty();
        assertThat(keeps("d", "unheard of")).isTrue();
        fold.process(event("d", NOON + MINUTE, Map.of("unheard of", 4.0)));
        fold.process(event("d", NOON - 2, Map.of("unheard of", 8.0)));
        fold.setTime(Events.T + RETENTION + 1);
        assertThat(fold.batches()).isEmpty();
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#unheard of#2026-01-31T11:00:00Z = 2",
                        "rollup#1h#unheard of#2026-01-31T12:00:00Z = 2",
                        "rollup#1m#unheard of#2026-01-31T11:59:00Z = 2",
                        "rollup#1m#unheard of#2026-01-31T12:01:00Z = 1",
                        "unheard of = 4.0");
        assertThat(fold.ids("d")).isEmpty();
        assertThat(fold.earlierWindows("d", "1m")).isEmpty();
        assertThat(fold.earlierWindows("d", "1h")).isEmpty();
        assertThat(keeps("d", "unheard of")).isTrue();
        fold.process(after(RETENTION + 2, event("d", NOON + HOUR - 1, Map.of("t", 1.0))));
        fold.process(after(RETENTION + 2, event("d", NOON + HOUR, Map.of("t", 1.0))));
        fold.flush();
        assertThat(fold.late()).hasSize(1);
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T13:00:00Z = 1", "rollup#1m#t#2026-01-31T13:00:00Z = 1", "t = 1.0");
    }

    /** As where a job catches up: what the operator holds stays bounded. */
    @Test
    void manyDevicesThatFellSilentAtOnceAreFlushedInParts() throws Exception {
        reopen(GoldenViews.MINUTES_AND_HOURS, 1_000 * RETENTION, 10);
        for (int device = 0; device < 50; device++) {
            fold.process(event("d" + device, NOON, Map.of("t", 1.0)));
        }
        fold.flush();
        long before = metrics.count("flushes");
        fold.setTime(Events.T + RETENTION + 1);
        assertThat(metrics.count("flushes") - before).isEqualTo(5);
        assertThat(fold.deviceTimers()).isEqualTo(50);
    }

    /** Within the cut nobody looks for silence, so the device's next event is what finds it. */
    @Test
    void aDeviceThatReturnsAfterSilenceLosesNoRowThatWasDue() throws Exception {
        reopen(GoldenViews.MINUTES_AND_HOURS, NEVER, 100_000);
        Event withinTheCut = event("d", NOON, Map.of("t", 1.0));
        withinTheCut.sequenceNumber = "999";
        fold.process(withinTheCut);
        fold.process(after(RETENTION + 1, event("d", NOON + HOUR, Map.of("t", 2.0))));
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1h#t#2026-01-31T12:00:00Z = 1",
                        "rollup#1h#t#2026-01-31T13:00:00Z = 1",
                        "rollup#1m#t#2026-01-31T12:00:00Z = 1",
                        "rollup#1m#t#2026-01-31T13:00:00Z = 1",
                        "t = 1.0",
                        "t = 2.0");
        assertThat(fold.ids("d")).hasSize(1);
    }

    @Test
    void viewsThatNobodyWantsAreNotFolded() throws Exception {
        Event[] few = {
            event("d", NOON, Map.of("unwanted", 1.0)), event("d", NOON + HOUR, Map.of("unwanted", 2.0)),
        };
        reopen(GoldenViews.LATEST_ALONE, INTERVAL, 100_000);
        fold.process(few);
        fold.flush();
        assertThat(taken()).containsExactly("unwanted = 2.0");
        reopen(GoldenViews.ROLLUPS_ALONE, INTERVAL, 100_000);
        fold.process(few);
        fold.flush();
        assertThat(taken())
                .containsExactly(
                        "rollup#1m#unwanted#2026-01-31T12:00:00Z = 1", "rollup#1m#unwanted#2026-01-31T13:00:00Z = 1");
        reopen(GoldenViews.NOTHING, INTERVAL, 100_000);
        fold.process(few);
        fold.process(few);
        fold.flush();
        assertThat(fold.batches()).isEmpty();
        assertThat(fold.accepted()).hasSize(2);
    }

    @Test
    void refusesStateOfAnotherFormat() throws Exception {
        fold.keep("d", new byte[] {9, 1, 2, 3});
        assertThatThrownBy(() -> fold.process(event("d", NOON, Map.of())))
                .hasRootCauseInstanceOf(IOException.class)
                .hasRootCauseMessage("the state of a device has format 9, this version reads 7");
    }

    /** Where the last window of the block ends in which one begins at {@code start}, and another so long after it. */
    private static long blockEnd(long start, long window) {
        return start - start % (20 * window) + 21 * window;
    }

    private Event event(String device, long time, Map<String, Double> readings) {
        events++;
        Event made = Events.event(device, "e" + events, time, events, readings);
        made.sequenceNumber = "1000";
        return made;
    }

    /** Whether anything of the metric is kept beside what the windows before the current ones hold. */
    private boolean keeps(String device, String metric) throws Exception {
        return new String(fold.kept(device), StandardCharsets.ISO_8859_1).contains(metric);
    }

    private JsonNode newest(String sort) throws Exception {
        return FoldHarness.stored(fold.rows()).get("device#d " + sort);
    }

    /** The rows that left, sorted: sort key and version of rollups, metric and value of latest readings. */
    private List<String> taken() throws Exception {
        return fold.takeRows().stream().map(DeviceFoldTest::inShort).sorted().collect(Collectors.toList());
    }

    private static String inShort(JsonNode row) {
        String sort = row.get("sort").textValue();
        return row.get("view").textValue().equals("latest")
                ? sort.substring("latest#".length()) + " = " + row.get("data").get("value")
                : sort + " = " + row.get("version");
    }
}
