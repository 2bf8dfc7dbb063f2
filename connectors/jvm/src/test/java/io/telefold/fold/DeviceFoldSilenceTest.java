package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.view.DeviceViews;
import io.telefold.view.GoldenViews;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The log of {@code tests/golden/silence.py}: the fold decides as plain Python does, however the time of the log is told. */
class DeviceFoldSilenceTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private final List<JsonNode> written = new ArrayList<>();
    private final List<String> late = new ArrayList<>();
    private long accepted;
    private long duplicates;

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
    void theFoldDecidesAsPlainPythonDoes(int seed) throws Exception {
        JsonNode golden = golden();
        List<Event> events = events(golden);
        Random random = new Random(seed);
        FoldHarness fold = open(golden, seed, null);
        for (int i = 0; i < events.size(); i++) {
            // Without any time told first, then with what was read, less more or less of it.
            if (seed > 0 && random.nextInt(seed) == 0) {
                fold.setTime(readBefore(events, i) - random.nextInt(seed * 100_000));
            }
            if (random.nextInt(20) == 0) {
                fold.flush();
            }
            if (random.nextInt(60) == 0) {
                OperatorSubtaskState snapshot = fold.snapshot();
                take(fold);
                fold.close();
                fold = open(golden, seed, snapshot);
            }
            fold.process(events.get(i));
        }
        fold.flush();
        take(fold);
        fold.close();
        assertThat(late).isEqualTo(texts(golden.get("too_late")));
        assertThat(accepted).isEqualTo(golden.get("accepted").longValue());
        assertThat(duplicates).isEqualTo(golden.get("duplicates").longValue());
        Map<String, Long> versions = new HashMap<>();
        FoldHarness.stored(written)
                .forEach((key, row) -> versions.put(key, row.get("version").longValue()));
        Map<String, Long> expected = new HashMap<>();
        golden.get("versions")
                .fields()
                .forEachRemaining(
                        row -> expected.put(row.getKey(), row.getValue().longValue()));
        assertThat(versions).isEqualTo(expected);
    }

    private void take(FoldHarness fold) throws IOException {
        accepted += metrics.count("accepted");
        duplicates += metrics.count("duplicates");
        fold.late().forEach(row -> late.add(row.sequenceNumber));
        written.addAll(fold.takeRows());
    }

    /** The greatest time of which everything comes before {@code next}. */
    private static long readBefore(List<Event> events, int next) {
        return events.subList(next, events.size()).stream()
                        .mapToLong(event -> event.arrival)
                        .min()
                        .getAsLong()
                - 1;
    }

    /** Every other keeps nothing in the heap. */
    private FoldHarness open(JsonNode golden, int seed, OperatorSubtaskState snapshot) throws Exception {
        TimeRules rules = new TimeRules(
                golden.get("horizon").longValue(),
                golden.get("lateness").longValue(),
                golden.get("state_retention").longValue(),
                golden.get("largest_window").longValue(),
                golden.get("device_retention").longValue());
        DeviceViews views = GoldenViews.MINUTES_AND_HOURS.views();
        int kept = seed % 2 == 0 ? 100_000 : 1;
        DeviceFold fold = new DeviceFold(rules, Cut.nowhere(), Corrections.none(), views, 1_000, kept, kept);
        return FoldHarness.open(fold, new HashMapStateBackend(), metrics, 0, snapshot);
    }

    private static List<Event> events(JsonNode golden) {
        List<Event> events = new ArrayList<>();
        for (JsonNode event : golden.get("events")) {
            Map<String, Double> readings = new HashMap<>();
            event.get("metrics")
                    .fields()
                    .forEachRemaining(
                            each -> readings.put(each.getKey(), each.getValue().doubleValue()));
            Event made = Events.event(
                    event.get("device_id").textValue(),
                    event.get("event_id").textValue(),
                    event.get("event_time").longValue(),
                    event.get("sequence").longValue(),
                    readings);
            made.arrival = event.get("arrival").longValue();
            made.sequenceNumber = event.get("number").textValue();
            events.add(made);
        }
        return events;
    }

    private static List<String> texts(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false)
                .map(JsonNode::textValue)
                .collect(Collectors.toList());
    }

    private static JsonNode golden() throws IOException {
        Path file = Path.of(System.getProperty("golden.directory"), "silence.json");
        return new ObjectMapper().readTree(file.toFile());
    }
}
