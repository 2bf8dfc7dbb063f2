package io.telefold.view;

import io.telefold.event.Event;
import io.telefold.event.Events;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** The cases of {@code tests/golden/device_views.json}: views that Python described, and what it folds into them. */
public enum GoldenViews {
    /** Latest readings, kept for ever, and rollups of 1m, kept for 90 days. */
    MINUTES,
    /** The same with rollups of 1m and 1h. */
    MINUTES_AND_HOURS,
    /** Latest readings, kept for a day, and rollups of 1d, 1m and 1h, kept for a week. */
    THREE_SIZES,
    LATEST_ALONE,
    ROLLUPS_ALONE,
    NOTHING,
    /** Rollups by days, months and years of time zones. */
    CALENDARS;

    public DeviceViews views() throws IOException {
        return DeviceViews.parse(json().get("views").toString());
    }

    /** The rows that {@link #events} come to, each in its last state. */
    public List<JsonNode> rows() throws IOException {
        List<JsonNode> rows = new ArrayList<>();
        json().get("rows").forEach(rows::add);
        return rows;
    }

    private JsonNode json() throws IOException {
        return file().get("cases").get(name().toLowerCase(Locale.ROOT).replace('_', ' '));
    }

    public static List<Event> events() throws IOException {
        List<Event> events = new ArrayList<>();
        for (JsonNode event : file().get("events")) {
            Map<String, Double> metrics = new HashMap<>();
            event.get("metrics")
                    .fields()
                    .forEachRemaining(
                            each -> metrics.put(each.getKey(), each.getValue().doubleValue()));
            events.add(Events.event(
                    event.get("device_id").textValue(),
                    event.get("event_id").textValue(),
                    event.get("event_time").longValue(),
                    event.get("sequence").longValue(),
                    metrics));
        }
        return events;
    }

    private static JsonNode file() throws IOException {
        Path file = Path.of(System.getProperty("golden.directory"), "device_views.json");
        return new ObjectMapper().readTree(file.toFile());
    }
}
