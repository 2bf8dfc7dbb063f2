package io.telefold.python;

import io.telefold.event.Event;
import java.io.IOException;
import java.io.StringWriter;
import java.util.Map;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.types.Row;

/**
 * Accepted {@link Event}s to one line of JSON each, a {@code schemas.events.ArrivedEvent}, with the partition of
 * their device as the key: what {@code MicroBatch.append} takes.
 *
 * <p>The key is not the device_id itself, because Python's threads read what crosses as UTF-16 and would take U+FEFF and
 * U+FFFE at its beginning for a byte order mark.
 */
public final class EventLines implements MapFunction<Event, Row> {

    private static final long serialVersionUID = 1L;
    private static final JsonFactory JSON = new JsonFactory();

    /** (partition STRING, event STRING). */
    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"partition", "event"});
    }

    @Override
    public Row map(Event event) throws IOException {
        StringWriter line = new StringWriter(256);
        try (JsonGenerator json = JSON.createGenerator(line)) {
            json.writeStartObject();
            json.writeStringField("event_id", event.eventId);
            json.writeStringField("device_id", event.deviceId);
            json.writeStringField("type", event.type);
            json.writeNumberField("event_time", event.eventTime);
            json.writeNumberField("sequence", event.sequence);
            json.writeObjectFieldStart("metrics");
            for (Map.Entry<?, ?> metric : event.metrics.entrySet()) {
                json.writeNumberField((String) metric.getKey(), (Double) metric.getValue());
            }
            json.writeEndObject();
            json.writeObjectFieldStart("attributes");
            for (Map.Entry<?, ?> attribute : event.attributes.entrySet()) {
                json.writeStringField((String) attribute.getKey(), (String) attribute.getValue());
            }
            json.writeEndObject();
            json.writeStringField("correlation_id", event.correlationId);
            json.writeNumberField("arrival", event.arrival);
            json.writeEndObject();
        }
        return Row.of("device#" + event.deviceId, line.toString());
    }
}
