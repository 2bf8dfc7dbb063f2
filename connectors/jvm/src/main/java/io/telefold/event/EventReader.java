package io.telefold.event;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.Decoder;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * From Avro single-object encoding, of any known schema version, to the event fields of an {@link Event}: the twin
 * of {@code schemas/codec.py}.
 *
 * <p>All work on schemas is done in the constructor. Not safe for use by several threads.
 *
 * <p>Source: https://avro.apache.org/docs/1.11.4/specification/#single-object-encoding
 */
final class EventReader {

    private static final int HEADER_BYTES = 10;
    private static final long MICROS_A_MILLI = 1_000;

    private final Map<Long, BodyReader> readers = new HashMap<>();
    private final AvroBody body = new AvroBody();
    private final EventChecks checks;
    private final int eventId;
    private final int deviceId;
    private final int type;
    private final int occurredAt;
    private final int sequence;
    private final int metrics;
    private final int attributes;
    private final int correlationId;
    private final int corrects;

    /**
     * Takes how every version is read, oldest first, the last being the current one: a JSON array of the {@code
     * Reading}s of {@code schemas/upcasters.py}, as {@code schemas.codec.readings_json()} returns it; and how large an
     * event may be, as {@code schemas.limits.limits_json()} does.
     */
    EventReader(String readings, String limits) {
        checks = new EventChecks(EventLimits.parse(limits));
        Schema current = null;
        for (JsonNode reading : array(readings)) {
            BodyReader reader = new BodyReader(reading);
            readers.put(SchemaNormalization.parsingFingerprint64(reader.getSchema()), reader);
            current = reader.getExpected();
        }
        eventId = position(current, "event_id");
        deviceId = position(current, "device_id");
        type = position(current, "type");
        occurredAt = position(current, "occurred_at");
        sequence = position(current, "sequence");
        metrics = position(current, "metrics");
        attributes = position(current, "attributes");
        correlationId = position(current, "correlation_id");
        corrects = position(current, "corrects");
    }

    /**
     * Reads the event in {@code record} into {@code event}, whose arrival is set; where it throws, the correlation_id alone,
     * if that could be read.
     */
    void read(byte[] record, Event event) throws RejectedEvent {
        GenericRecord body = resolve(record);
        @SuppressWarnings("unchecked")
        Map<String, Double> readings = (Map<String, Double>) body.get(metrics);
        @SuppressWarnings("unchecked")
        Map<String, String> said = (Map<String, String>) body.get(attributes);
        long eventTime = Math.floorDiv((Long) body.get(occurredAt), MICROS_A_MILLI);
        event.correlationId = (String) body.get(correlationId);
        checks.check(
                (String) body.get(eventId),
                (String) body.get(deviceId),
                (String) body.get(corrects),
                (String) body.get(type),
                event.correlationId,
                eventTime,
                readings,
                said,
                event.arrival);
        event.eventId = (String) body.get(eventId);
        event.deviceId = (String) body.get(deviceId);
        event.type = (String) body.get(type);
        event.eventTime = eventTime;
        event.sequence = (Long) body.get(sequence);
        event.metrics = readings;
        event.attributes = said;
        event.corrects = (String) body.get(corrects);
    }

    private GenericRecord resolve(byte[] record) throws RejectedEvent {
        BodyReader reader = readerOf(record);
        body.reset(record, HEADER_BYTES);
        GenericRecord event = reader.resolve(body);
        if (!body.isEnd()) {
            throw new RejectedEvent(Reason.MALFORMED_BODY, "bytes follow the " + reader.version + " record");
        }
        for (Upcast upcast : reader.upcasts) {
            upcast.apply(event);
        }
        return event;
    }

    private BodyReader readerOf(byte[] record) throws RejectedEvent {
        if (record.length == 0) {
            throw new RejectedEvent(Reason.EMPTY_RECORD, "the record has no bytes");
        }
        if (record.length < HEADER_BYTES || record[0] != (byte) 0xC3 || record[1] != 0x01) {
            throw new RejectedEvent(Reason.BAD_HEADER, "the record does not begin with an Avro single-object header");
        }
        long fingerprint =
                ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getLong(2);
        BodyReader reader = readers.get(fingerprint);
        if (reader == null) {
            // In the byte order of the wire, so that it can be found in a dump of the record.
            throw new RejectedEvent(
                    Reason.UNKNOWN_FINGERPRINT,
                    String.format("no known schema has the fingerprint %016x", Long.reverseBytes(fingerprint)));
        }
        return reader;
    }

    private static JsonNode array(String readings) {
        try {
            JsonNode array = new ObjectMapper().readTree(readings);
            if (array.isArray() && !array.isEmpty()) {
                return array;
            }
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("The readings of the event's versions are no JSON", e);
        }
        throw new IllegalArgumentException("The readings of the event's versions are no JSON array, or an empty one");
    }

    private static int position(Schema current, String field) {
        if (current.getField(field) == null) {
            throw new IllegalArgumentException("The current version of the event has no field " + field);
        }
        return current.getField(field).pos();
    }

    /** Resolves bodies written with one version, to records whose fields lie as those of the current one. */
    private static final class BodyReader extends GenericDatumReader<GenericRecord> {

        private final String version;
        private final Upcast[] upcasts;

        BodyReader(JsonNode reading) {
            super(schema(reading.get("written")), schema(reading.get("resolved")));
            version = "v" + reading.get("version").intValue();
            List<Upcast> steps = new ArrayList<>();
            for (JsonNode field : reading.get("upcast")) {
                steps.addAll(Upcast.of(field, getExpected()));
            }
            upcasts = steps.toArray(new Upcast[0]);
        }

        private static Schema schema(JsonNode json) {
            return new Schema.Parser().parse(json.toString());
        }

        GenericRecord resolve(AvroBody body) throws RejectedEvent {
            try {
                return read(null, body);
            } catch (EOFException e) {
                throw new RejectedEvent(
                        Reason.TRUNCATED_BODY, "the body ends before the " + version + " record is complete");
            } catch (IOException | RuntimeException e) { // what Avro throws is whatever it trips over
                throw new RejectedEvent(Reason.MALFORMED_BODY, "the body is not a " + version + " record");
            }
        }

        /** Java strings, without a word about them in the schemas, which are not Java's alone. */
        @Override
        protected Object readString(Object old, Schema expected, Decoder in) throws IOException {
            return in.readString();
        }

        /**
         * Ignores the declared size, which may be a lie worth gigabytes. Entries keep their order, so that the first
         * fault found is the one the Python codec names.
         */
        @Override
        protected Object newMap(Object old, int size) {
            return new LinkedHashMap<>();
        }
    }
}
