package io.telefold;

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
 * Accepted rows of {@link EventRow} to one line of JSON each, a {@code schemas.events.ArrivedEvent}, with the partition of
 * their device as the key: what {@link MicroBatch#append} takes.
 *
 * <p>The key is not the device_id itself, because Python's threads read what crosses as UTF-16 and would take U+FEFF and
 * U+FFFE at its beginning for a byte order mark.
 */
public final class EventLines implements MapFunction<Row, Row> {

    private static final long serialVersionUID = 1L;
    private static final JsonFactory JSON = new JsonFactory();

    /** (partition STRING, event STRING). */
    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"partition", "event"});
    }

    @Override
    public Row map(Row row) throws IOException {
        StringWriter line = new StringWriter(256);
        try (JsonGenerator json = JSON.createGenerator(line)) {
            json.writeStartObject();
            json.writeStringField("event_id", (String) row.getField(EventRow.EVENT_ID));
            json.writeStringField("device_id", (String) row.getField(EventRow.DEVICE_ID));
            json.writeStringField("type", (String) row.getField(EventRow.TYPE));
            json.writeNumberField("event_time", (Long) row.getField(EventRow.EVENT_TIME));
            json.writeNumberField("sequence", (Long) row.getField(EventRow.SEQUENCE));
            json.writeObjectFieldStart("metrics");
            for (Map.Entry<?, ?> metric : ((Map<?, ?>) row.getField(EventRow.METRICS)).entrySet()) {
                json.writeNumberField((String) metric.getKey(), (Double) metric.getValue());
            }
            json.writeEndObject();
            json.writeObjectFieldStart("attributes");
            for (Map.Entry<?, ?> attribute : ((Map<?, ?>) row.getField(EventRow.ATTRIBUTES)).entrySet()) {
                json.writeStringField((String) attribute.getKey(), (String) attribute.getValue());
            }
            json.writeEndObject();
            json.writeStringField("correlation_id", (String) row.getField(EventRow.CORRELATION_ID));
            json.writeNumberField("arrival", (Long) row.getField(EventRow.ARRIVAL));
            json.writeEndObject();
        }
        return Row.of("device#" + row.getField(EventRow.DEVICE_ID), line.toString());
    }
}
