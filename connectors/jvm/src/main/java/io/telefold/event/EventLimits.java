package io.telefold.event;

import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** How large an event may be: an {@code EventLimits} of {@code schemas/limits.py}, where each is explained. */
final class EventLimits {

    final TextLimit id;
    final TextLimit type;
    final TextLimit correlationId;
    final int metrics;
    final TextLimit metricName;
    final double metricMagnitude;
    final int attributes;
    final TextLimit attributeName;
    final TextLimit attributeValue;
    final String forbiddenInNames;
    final long earliestTime;
    final long aheadOfArrivalMs;
    final String acknowledgement;
    final Pattern ruleName;
    final int timeDigits;

    private EventLimits(JsonNode json) {
        id = text(json, "id");
        type = text(json, "type");
        correlationId = text(json, "correlation_id");
        metrics = required(json, "metrics").intValue();
        metricName = text(json, "metric_name");
        metricMagnitude = required(json, "metric_magnitude").doubleValue();
        attributes = required(json, "attributes").intValue();
        attributeName = text(json, "attribute_name");
        attributeValue = text(json, "attribute_value");
        forbiddenInNames = required(json, "forbidden_in_names").textValue();
        earliestTime = required(json, "earliest_time").longValue();
        aheadOfArrivalMs = required(json, "ahead_of_arrival_ms").longValue();
        acknowledgement = required(json, "acknowledgement").textValue();
        ruleName = Pattern.compile(required(json, "rule_name").textValue());
        timeDigits = required(json, "time_digits").intValue();
    }

    /** Takes what {@code schemas.limits.limits_json()} returns. */
    static EventLimits parse(String json) {
        try {
            return new EventLimits(new ObjectMapper().readTree(json));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("The limits of an event are no JSON", e);
        }
    }

    private static TextLimit text(JsonNode json, String name) {
        JsonNode limit = required(json, name);
        return new TextLimit(
                required(limit, "characters").intValue(),
                required(limit, "utf8_bytes").intValue());
    }

    private static JsonNode required(JsonNode json, String name) {
        JsonNode value = json.get(name);
        if (value == null) {
            throw new IllegalArgumentException("The limits of an event lack " + name);
        }
        return value;
    }

    /** The most that one text may have of characters, which are code points as Python counts them, and of bytes. */
    static final class TextLimit {

        final int characters;
        final int utf8Bytes;

        private TextLimit(int characters, int utf8Bytes) {
            this.characters = characters;
            this.utf8Bytes = utf8Bytes;
        }

        /** What is too much of the text, as the end of a sentence; null if nothing is. */
        String excess(String text) {
            if (text.length() > characters && text.codePointCount(0, text.length()) > characters) {
                return String.format(
                        "has %d characters, at most %d are allowed", text.codePointCount(0, text.length()), characters);
            }
            if (text.length() > utf8Bytes / 3 && utf8Bytes(text) > utf8Bytes) {
                return String.format("has %d bytes in UTF-8, at most %d are allowed", utf8Bytes(text), utf8Bytes);
            }
            return null;
        }

        /** The text is valid Unicode: each half of a pair stands for two of its four bytes. */
        private static int utf8Bytes(String text) {
            int bytes = text.length();
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                bytes += c < 0x80 ? 0 : c < 0x800 || Character.isSurrogate(c) ? 1 : 2;
            }
            return bytes;
        }
    }
}
