package io.telefold.fold;

import io.telefold.event.Event;
import java.io.IOException;
import java.io.Serializable;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.function.Predicate;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * What the events of a replayed log are folded with instead of their own time, sequence and metrics: at most one
 * correction an event. Which of several wins was decided by {@code schemas/corrections.py}.
 */
public final class Corrections implements Serializable {

    private static final long serialVersionUID = 1L;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** By device_id, then by the event_id that is corrected. */
    private final HashMap<String, HashMap<String, Correction>> ofDevices = new HashMap<>();

    private Corrections() {}

    public static Corrections none() {
        return new Corrections();
    }

    /**
     * Takes a JSON array of corrections as {@code schemas.corrections.Correction} has them: one text, because each call
     * from Python takes longer than reading a hundred of them.
     */
    public static Corrections parse(String json) throws IOException {
        Corrections corrections = new Corrections();
        for (JsonNode each : JSON.readTree(json)) {
            corrections.add(
                    text(each, "device_id"),
                    text(each, "corrects"),
                    number(each, "event_time").longValue(),
                    number(each, "sequence").longValue(),
                    metrics(each));
        }
        return corrections;
    }

    /** The {@link Event} itself, or a copy with the time, the sequence and the metrics of its correction. */
    public Event corrected(Event event) {
        Map<String, Correction> ofDevice = ofDevices.get(event.deviceId);
        Correction correction = ofDevice == null ? null : ofDevice.get(event.eventId);
        return correction == null ? event : correction.applyTo(event);
    }

    private void add(String deviceId, String corrects, long eventTime, long sequence, HashMap<String, Double> metrics) {
        Correction other = ofDevices
                .computeIfAbsent(deviceId, device -> new HashMap<>())
                .put(corrects, new Correction(eventTime, sequence, metrics));
        if (other != null) {
            throw new IllegalArgumentException(String.format(
                    "event %s of device %s has two corrections, pass only the one that wins", corrects, deviceId));
        }
    }

    private static HashMap<String, Double> metrics(JsonNode correction) {
        HashMap<String, Double> metrics = new HashMap<>();
        Iterator<Map.Entry<String, JsonNode>> fields =
                required(correction, "metrics", JsonNode::isObject).fields();
        fields.forEachRemaining(
                field -> metrics.put(field.getKey(), field.getValue().doubleValue()));
        return metrics;
    }

    private static String text(JsonNode correction, String field) {
        return required(correction, field, JsonNode::isTextual).textValue();
    }

    private static JsonNode number(JsonNode correction, String field) {
        return required(correction, field, JsonNode::canConvertToLong);
    }

    private static JsonNode required(JsonNode correction, String field, Predicate<JsonNode> valid) {
        JsonNode value = correction.path(field);
        if (!valid.test(value)) {
            throw new IllegalArgumentException("a correction has no valid " + field + ": " + correction);
        }
        return value;
    }

    private static final class Correction implements Serializable {

        private static final long serialVersionUID = 1L;

        private final long eventTime;
        private final long sequence;
        private final HashMap<String, Double> metrics;

        Correction(long eventTime, long sequence, HashMap<String, Double> metrics) {
            this.eventTime = eventTime;
            this.sequence = sequence;
            this.metrics = metrics;
        }

        Event applyTo(Event event) {
            Event copy = Event.copyOf(event);
            copy.eventTime = eventTime;
            copy.sequence = sequence;
            copy.metrics = new HashMap<>(metrics);
            return copy;
        }
    }
}
