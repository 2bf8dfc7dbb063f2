package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.GoldenViews;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever comes in whatever order, wherever flushes and crashes fall: the rows are those of a naive fold. */
class DeviceFoldAgreementTest {

    private static final long MINUTE = 60_000;
    private static final Map<String, Long> SIZES = Map.of("1m", MINUTE, "1h", 60 * MINUTE, "1d", 1_440 * MINUTE);
    private static final long LATENESS = 5 * MINUTE;
    private static final long HORIZON = 7 * MINUTE;
    private static final long RETENTION = 1_000_000_000;
    private static final long INTERVAL = 1_000;

    /** An hour and a day turn within the events. */
    private static final long START = Instant.parse("2026-01-31T23:20:00Z").toEpochMilli();

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void inTheHeap(int seed) throws Exception {
        check(new Random(seed), new HashMapStateBackend());
    }

    @ParameterizedTest
    @ValueSource(ints = {21, 22})
    void onRocksDb(int seed) throws Exception {
        check(new Random(seed), new EmbeddedRocksDBStateBackend());
    }

    /** Of which the check would find nothing if there were none. */
    @Test
    void theEventsHoldWhatMakesFoldsDifficult() throws Exception {
        List<Event> events = events(new Random(1));
        NaiveFold naive = new NaiveFold();
        events.forEach(naive::add);
        assertThat(naive.duplicates).isGreaterThan(30);
        assertThat(naive.tooLate).isGreaterThan(30);
        assertThat(naive.rows).hasSizeGreaterThan(300);
        assertThat(naive.rows.values()).filteredOn(row -> row.count > 20).isNotEmpty();
    }

    private static void check(Random random, StateBackend backend) throws Exception {
        List<Event> events = events(random);
        List<JsonNode> written = new ArrayList<>();
        int maxRows = random.nextBoolean() ? 100_000 : 20;
        // None at hand after a flush, one of the three, all of them.
        int cacheBytes = new int[] {0, 20_000, 1_000_000}[random.nextInt(3)];
        int at = 0;
        int checkpoint = 0;
        OperatorSubtaskState snapshot = null;
        int crashes = 0;
        FoldHarness fold = open(maxRows, cacheBytes, backend, snapshot);
        while (at < events.size()) {
            fold.process(events.get(at++));
            int chance = random.nextInt(100);
            if (chance < 5) {
                fold.flush();
            } else if (chance < 7) {
                snapshot = fold.snapshot();
                checkpoint = at;
            } else if (chance < 8 && crashes < 5) {
                crashes++;
                written.addAll(rows(fold));
                fold.close();
                fold = open(maxRows, cacheBytes, backend, snapshot);
                at = checkpoint;
            }
            written.addAll(rows(fold));
        }
        fold.finish();
        written.addAll(rows(fold));
        fold.close();
        assertThat(crashes).isPositive();
        NaiveFold naive = new NaiveFold();
        events.forEach(naive::add);
        FoldHarness.assertAlike(FoldHarness.stored(written), naive.json());
    }

    /** Each row at most once. */
    private static List<JsonNode> rows(FoldHarness fold) throws Exception {
        List<JsonNode> rows = fold.takeRows();
        assertThat(FoldHarness.stored(rows)).hasSameSizeAs(rows);
        return rows;
    }

    private static FoldHarness open(int maxRows, int cacheBytes, StateBackend backend, OperatorSubtaskState snapshot)
            throws Exception {
        DeviceFold operator = new DeviceFold(
                new TimeRules(HORIZON, LATENESS, RETENTION, 1_440 * MINUTE, 2 * RETENTION),
                Cut.nowhere(),
                Corrections.none(),
                GoldenViews.THREE_SIZES.views(),
                INTERVAL,
                maxRows,
                cacheBytes);
        return FoldHarness.open(operator, backend, new CapturedMetrics(), 0, snapshot);
    }

    /** Of three devices over more than an hour: one in eight twice, some out of order, some too late, ties. */
    private static List<Event> events(Random random) {
        List<Event> events = new ArrayList<>();
        for (int i = 0; i < 900; i++) {
            if (i > 0 && random.nextInt(8) == 0) {
                events.add(events.get(Math.max(0, events.size() - 1 - random.nextInt(30))));
            }
            long time = START + i * 5_000L;
            if (random.nextInt(4) == 0) {
                time -= random.nextInt((int) (LATENESS + MINUTE));
            }
            time -= random.nextInt(3) == 0 ? time % 10_000 : 0;
            Map<String, Double> metrics = new HashMap<>();
            for (String metric : List.of("t", "u", "v")) {
                if (random.nextInt(3) > 0) {
                    metrics.put(metric, random.nextInt(4) == 0 ? random.nextInt(3) - 1.0 : random.nextGaussian());
                }
            }
            events.add(Events.event("d" + random.nextInt(3), "e" + i, time, random.nextInt(3), metrics));
        }
        return events;
    }

    /** Keeps everything and forgets nothing. */
    private static final class NaiveFold {

        private final Map<String, Long> clocks = new HashMap<>();
        private final Set<String> seen = new HashSet<>();
        final Map<String, NaiveRow> rows = new HashMap<>();
        int duplicates;
        int tooLate;

        void add(Event event) {
            String device = event.deviceId;
            long time = event.eventTime;
            if (time < clocks.getOrDefault(device, time) - LATENESS) {
                tooLate++;
            } else if (!seen.add(device + " " + event.eventId)) {
                duplicates++;
            } else {
                clocks.merge(device, time, Math::max);
                fold(device, time, event);
            }
        }

        private void fold(String device, long time, Event event) {
            long sequence = event.sequence;
            String id = event.eventId;
            event.metrics.forEach((metric, value) -> {
                NaiveRow newest = row(device, "latest#" + metric);
                double before = newest.latest;
                boolean isFirst = newest.count == 0;
                newest.add(time, sequence, id, value, 0);
                boolean isNewest = newest.id.equals(id);
                double rise = isFirst || !isNewest ? 0 : value >= before ? value - before : value;
                SIZES.forEach((size, ms) -> {
                    long start = time / ms * ms;
                    String sort = "rollup#" + size + "#" + metric + "#" + Instant.ofEpochMilli(start);
                    NaiveRow row = row(device, sort);
                    row.windowEnd = start + ms;
                    row.add(time, sequence, id, value, rise);
                });
            });
        }

        private NaiveRow row(String device, String sort) {
            return rows.computeIfAbsent("device#" + device + " " + sort, key -> new NaiveRow());
        }

        Map<String, JsonNode> json() throws Exception {
            Map<String, JsonNode> json = new HashMap<>();
            for (Map.Entry<String, NaiveRow> each : rows.entrySet()) {
                String[] key = each.getKey().split(" ");
                json.put(each.getKey(), each.getValue().json(key[0], key[1]));
            }
            return json;
        }
    }

    private static final class NaiveRow {

        private long windowEnd;
        private long count;
        private double sum;
        private final List<Double> values = new ArrayList<>();
        private long firstSequence;
        private String firstId = "";
        private double firstValue;
        private double increase;
        private double min = Double.POSITIVE_INFINITY;
        private double max = Double.NEGATIVE_INFINITY;
        private long first = Long.MAX_VALUE;
        private long last = Long.MIN_VALUE;
        private long sequence;
        private String id = "";
        private double latest;
        private long ofItsTime;

        void add(long time, long itsSequence, String itsId, double value, double rise) {
            if (count == 0
                    || time < first
                    || time == first && itsSequence < firstSequence
                    || time == first && itsSequence == firstSequence && itsId.compareTo(firstId) < 0) {
                firstSequence = itsSequence;
                firstId = itsId;
                firstValue = value;
            }
            values.add(value);
            increase += rise;
            ofItsTime = time > last ? 1 : time == last ? ofItsTime + 1 : ofItsTime;
            if (time > last
                    || time == last && itsSequence > sequence
                    || time == last && itsSequence == sequence && itsId.compareTo(id) > 0) {
                sequence = itsSequence;
                id = itsId;
                latest = value;
            }
            count++;
            sum += value;
            min = Math.min(min, value);
            max = Math.max(max, value);
            first = Math.min(first, time);
            last = Math.max(last, time);
        }

        private double deviations() {
            double mean = sum / count;
            return values.stream()
                    .mapToDouble(value -> (value - mean) * (value - mean))
                    .sum();
        }

        JsonNode json(String partition, String sort) throws Exception {
            boolean isLatest = sort.startsWith("latest");
            String data = isLatest
                    ? String.format("{'value': %s, 'at': %s}", latest, last)
                    : String.format(
                            "{'count': %s, 'sum': %s, 'min': %s, 'max': %s, 'm2': %s,"
                                    + " 'first_at': %s, 'first': %s, 'last_at': %s, 'last': %s, 'increase': %s}",
                            count, sum, min, max, deviations(), first, firstValue, last, latest, increase);
            String row = String.format(
                    "{'view': '%s', 'partition': '%s', 'sort': '%s', 'version': %s, 'expires_at': %s, 'data': %s}",
                    isLatest ? "latest" : "rollups",
                    partition,
                    sort,
                    isLatest ? (last << 20) + ofItsTime : count,
                    isLatest ? last / 1000 + 86_400 : windowEnd / 1000 + 7 * 86_400,
                    data);
            return new ObjectMapper().readTree(row.replace('\'', '"'));
        }
    }
}
