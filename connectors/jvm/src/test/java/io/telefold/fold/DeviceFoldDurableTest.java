package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.GoldenViews;
import io.telefold.view.Unpacked;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the fast store is given with each flush, and the durable one when it is due. */
class DeviceFoldDurableTest {

    private static final long MINUTE = 60_000;
    private static final long HOUR = 60 * MINUTE;
    private static final long DURABLE = 5 * MINUTE;
    private static final long INTERVAL = 1_000;
    private static final long BEGIN = 1_769_860_800_000L;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private final List<JsonNode> written = new ArrayList<>();
    private FoldHarness fold;
    private long now = BEGIN;
    private int events;

    @BeforeEach
    void open() throws Exception {
        fold = open(DURABLE, null);
    }

    private FoldHarness open(long durableMs, OperatorSubtaskState snapshot) throws Exception {
        DeviceFold operator = new DeviceFold(
                        new TimeRules(HOUR, HOUR, 3 * HOUR, HOUR, 9 * HOUR, 1, 1),
                        Cut.nowhere(),
                        Corrections.none(),
                        GoldenViews.MINUTES_AND_HOURS.views(),
                        INTERVAL,
                        100_000)
                .durableEvery(durableMs);
        return FoldHarness.open(operator, new HashMapStateBackend(), metrics, now, snapshot);
    }

    @AfterEach
    void close() throws Exception {
        fold.close();
    }

    private void report(String device, long at, Map<String, Double> readings) {
        Event event = Events.event(device, "e" + ++events, at, events, readings);
        event.arrival = now;
        fold.process(event);
    }

    private void goOnTo(long time) throws Exception {
        now = time;
        fold.setProcessingTime(now);
    }

    private void take() throws IOException {
        written.addAll(fold.lines());
        fold.takeRows();
    }

    /** The items that a store has by now, by partition and sort key. */
    private Map<String, JsonNode> items(String store) {
        return FoldHarness.stored(written.stream()
                .filter(line -> !line.has("to") || line.get("to").textValue().equals(store))
                .collect(Collectors.toList()));
    }

    private Map<String, JsonNode> rows(String store) {
        return rows(items(store).values());
    }

    private static Map<String, JsonNode> rows(Collection<JsonNode> items) {
        return FoldHarness.stored(items.stream()
                .flatMap(item -> item.has("packed") ? Unpacked.all(item).stream() : List.of(item).stream())
                .collect(Collectors.toList()));
    }

    private static Map<String, Double> readings(int metrics, double value) {
        Map<String, Double> readings = new HashMap<>();
        for (int metric = 0; metric < metrics; metric++) {
            readings.put("m" + metric, value);
        }
        return readings;
    }

    /** One every five minutes, be it a head or a block of minutes that goes ahead of one, and one of hours. */
    @Test
    void anHourOfADeviceIsThirteenItemsForTheDurableStore() throws Exception {
        Random random = new Random(1);
        for (long hour = BEGIN; hour < BEGIN + 3 * HOUR; hour += HOUR) {
            written.clear();
            for (long at = hour; at < hour + HOUR; at += 10_000) {
                goOnTo(at);
                report("d", at, readings(2, Math.round(2_000 + 40 * random.nextGaussian()) / 100.0));
            }
            take();
        }
        Map<String, Long> kinds = written.stream()
                .filter(line -> line.get("to").textValue().equals("durable"))
                .collect(Collectors.groupingBy(
                        line -> line.get("sort").textValue().split("#20")[0], Collectors.counting()));
        assertThat(kinds.get("latest") + kinds.get("rollups#1m")).isEqualTo(12);
        assertThat(kinds.get("latest")).isBetween(6L, 9L);
        assertThat(kinds.get("rollups#1h")).isEqualTo(1);
        assertThat(written.stream().filter(line -> line.has("is_new"))).hasSize((int) (long) kinds.get("rollups#1m"));
        assertThat(written.stream().filter(line -> !line.has("to"))).isEmpty();
    }

    /** Closed windows are in heads as long as they cost nothing there. */
    @Test
    void anHourOfADeviceWithFiveMetricsIsTwentyTwoUnitsAtMost() throws Exception {
        Random random = new Random(1);
        for (long hour = BEGIN; hour < BEGIN + 2 * HOUR; hour += HOUR) {
            written.clear();
            for (long at = hour; at < hour + HOUR; at += 5_000) {
                goOnTo(at);
                Map<String, Double> readings = new HashMap<>();
                for (int metric = 0; metric < 5; metric++) {
                    readings.put("metric-000" + metric, Math.round(2_000 + 40 * random.nextGaussian()) / 100.0);
                }
                report("device-000001", at, readings);
            }
            take();
        }
        int units = 0;
        for (JsonNode line : written) {
            if (line.get("to").textValue().equals("durable")) {
                int bytes = Base64.getDecoder().decode(line.get("packed").textValue()).length;
                units += (bytes + 66 + "device-000001".length()) / 1_024 + 1;
            }
        }
        assertThat(units).isBetween(12, 22);
    }

    /** As `views/packed_reader.py` reads: the head, and of the blocks those of which the head has windows. */
    private Map<String, JsonNode> readByHead() {
        Map<String, JsonNode> items = items("durable");
        List<JsonNode> read = new ArrayList<>();
        items.forEach((key, head) -> {
            if (head.get("sort").textValue().equals("latest")) {
                read.add(head);
                Map<String, List<String>> starts = Unpacked.all(head).stream()
                        .map(row -> row.get("sort").textValue())
                        .filter(sort -> sort.startsWith("rollup#1m#m0#"))
                        .collect(Collectors.groupingBy(
                                sort -> head.get("partition").textValue()));
                starts.forEach((partition, some) -> {
                    String first = some.stream().sorted().findFirst().get().substring("rollup#1m#m0#".length());
                    items.values().stream()
                            .filter(item -> some.size() > 1)
                            .filter(item -> item.get("partition").textValue().equals(partition))
                            .filter(item -> item.get("sort").textValue().startsWith("rollups#1m#"))
                            .filter(item -> item.get("sort").textValue().compareTo("rollups#1m#" + first + "~") < 0)
                            .max(Comparator.comparing(item -> item.get("sort").textValue()))
                            .ifPresent(read::add);
                });
            }
        });
        return rows(read);
    }

    /** A block that went ahead of the head has what is newest; the head tells where that is. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void whoReadsTheHeadFindsWhatIsNoOlderThanTheInterval(int metrics) throws Exception {
        Random random = new Random(metrics);
        TreeMap<Long, Long> newestBy = new TreeMap<>();
        while (now < BEGIN + 5 * HOUR) {
            goOnTo(now + (random.nextInt(200) == 0 ? random.nextInt((int) HOUR / 2) : 10_000));
            report("d", now, readings(metrics, now));
            newestBy.put(now, now);
            if (random.nextInt(20) == 0) {
                report("d", now - random.nextInt((int) HOUR / 2), readings(metrics, now));
            }
            fold.flush();
            take();
            Map.Entry<Long, Long> expected = newestBy.floorEntry(now - DURABLE - INTERVAL);
            if (expected != null) {
                JsonNode latest = readByHead().values().stream()
                        .filter(row -> row.get("sort").textValue().equals("latest#m0"))
                        .findFirst()
                        .get();
                assertThat(latest.get("data").get("at").longValue()).isGreaterThanOrEqualTo(expected.getValue());
            }
        }
    }

    @Test
    void theDurableStoreIsNeverMoreThanTheIntervalBehind() throws Exception {
        for (int device = 0; device < 50; device++) {
            report("d" + device, now, readings(1, 1));
        }
        goOnTo(now + INTERVAL);
        take();
        assertThat(rows("fast")).hasSize(150);
        assertThat(rows("durable").size()).isLessThan(30);
        goOnTo(now + DURABLE / 2);
        goOnTo(now + INTERVAL);
        take();
        assertThat(rows("durable").size()).isBetween(60, 110);
        goOnTo(BEGIN + DURABLE);
        goOnTo(now + INTERVAL);
        take();
        assertThat(rows("durable")).isEqualTo(rows("fast"));
        assertThat(metrics.value("durableLateMs")).isEqualTo(0L);
    }

    /** Blocks hold what the head held before the interval became too short for that, or none. */
    @ParameterizedTest
    @ValueSource(longs = {0, 30_000})
    void nothingIsLostWithAnotherInterval(long durableMs) throws Exception {
        for (int minute = 0; minute < 15; minute++) {
            goOnTo(BEGIN + minute * MINUTE);
            report("d", now, readings(2, minute));
        }
        OperatorSubtaskState snapshot = fold.snapshot();
        take();
        fold.close();
        fold = open(durableMs, snapshot);
        goOnTo(now + MINUTE);
        report("d", now, readings(2, 1));
        goOnTo(now + MINUTE);
        goOnTo(now + DURABLE);
        fold.flush();
        take();
        assertThat(rows("durable")).isEqualTo(rows("fast")).hasSize(2 + 16 * 2 + 2);
    }

    /** The windows of before the pause can change no more when the last of them goes into their block. */
    @ParameterizedTest
    @ValueSource(longs = {0, DURABLE})
    void aDeviceThatReturnsAfterAPauseLosesNoWindow(long durableMs) throws Exception {
        fold.close();
        fold = open(durableMs, null);
        for (int minute = 0; minute < 6; minute++) {
            goOnTo(BEGIN + minute * MINUTE);
            report("d", now, readings(1, minute));
            fold.flush();
        }
        goOnTo(now + 2 * HOUR);
        report("d", now, readings(1, 6));
        fold.finish();
        take();
        assertThat(rows("fast")).hasSize(1 + 7 + 2);
        assertThat(rows("durable")).isEqualTo(rows("fast"));
    }

    /** Late events, silences, many metrics, failures and stops, and time that goes on in leaps. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
    void bothStoresComeToHaveWhatOneFlushWouldWrite(int seed) throws Exception {
        Random random = new Random(seed);
        List<Event> log = new ArrayList<>();
        long[] intervals = {0, 30_000, DURABLE, HOUR};
        for (int step = 0; step < 400; step++) {
            long leap = random.nextInt(60) == 0 ? 4 * HOUR : random.nextInt(10) == 0 ? 20 * MINUTE : 20_000;
            goOnTo(now + random.nextInt((int) leap));
            String device = "d" + random.nextInt(3);
            int metrics = device.equals("d0") ? 150 : 2;
            long at = now - (random.nextInt(4) == 0 ? random.nextInt((int) HOUR / 2) : 0);
            Map<String, Double> readings = readings(1 + random.nextInt(metrics), step);
            Event event = Events.event(device, "e" + step, at, step, readings);
            event.arrival = now;
            log.add(event);
            fold.process(Event.copyOf(event));
            if (random.nextInt(10) == 0) {
                fold.setTime(now - random.nextInt(1_000));
            }
            if (random.nextInt(40) == 0) {
                OperatorSubtaskState snapshot = fold.snapshot();
                take();
                // A failure: what follows the checkpoint is lost, and read again.
                fold.close();
                fold = open(intervals[random.nextInt(intervals.length)], snapshot);
            }
        }
        assertBothStoresHaveWhatOneFlushWouldWrite(log);
    }

    /**
     * A kill leaves the first of the items that were on their way to the stores since the checkpoint, however many, and from
     * there the log is read again.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
    void aKillBetweenWhatIsDueAndWhatIsWrittenLosesNothing(int seed) throws Exception {
        Random random = new Random(seed);
        List<Event> log = new ArrayList<>();
        OperatorSubtaskState checkpoint = fold.snapshot();
        int read = 0;
        for (int step = 0; step < 300; step++) {
            goOnTo(now + random.nextInt((int) MINUTE));
            long at = now - (random.nextInt(5) == 0 ? random.nextInt((int) HOUR / 2) : 0);
            // Devices come and fall silent: what is due of them is written because it was due, not with what follows.
            String device = "d" + (step / 20 + random.nextInt(2));
            Event event = Events.event(device, "e" + step, at, step, readings(2, step));
            event.arrival = now;
            log.add(event);
            fold.process(Event.copyOf(event));
            if (random.nextInt(30) == 0) {
                checkpoint = fold.snapshot();
                read = log.size();
                take();
            } else if (random.nextInt(20) == 0) {
                List<JsonNode> sent = fold.lines();
                written.addAll(sent.subList(0, random.nextInt(sent.size() + 1)));
                fold.close();
                // Now and then nobody starts it again for a day.
                now += random.nextInt(4) == 0 ? 25 * HOUR : 0;
                fold = open(DURABLE, checkpoint);
                for (Event again : log.subList(read, log.size())) {
                    fold.process(Event.copyOf(again));
                }
            }
        }
        assertBothStoresHaveWhatOneFlushWouldWrite(log);
    }

    private void assertBothStoresHaveWhatOneFlushWouldWrite(List<Event> log) throws Exception {
        fold.finish();
        take();
        fold.close();
        fold = open(0, null);
        fold.process(log);
        fold.flush();
        Map<String, JsonNode> expected = rows(FoldHarness.stored(fold.lines()).values());
        for (String store : List.of("fast", "durable")) {
            Set<String> lacking = new TreeSet<>(expected.keySet());
            lacking.removeAll(rows(store).keySet());
            assertThat(lacking).as("rows that are not in the %s store", store).isEmpty();
            FoldHarness.assertAlike(rows(store), expected);
        }
    }
}
