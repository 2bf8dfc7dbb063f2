package io.telefold;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;

/**
 * From Avro single-object encoding, of any known schema version, to a record of the current one: the twin of
 * {@code schemas/codec.py}.
 *
 * <p>All work on schemas is done in the constructor. Not safe for use by several threads.
 *
 * <p>Source: https://avro.apache.org/docs/1.11.4/specification/#single-object-encoding
 */
final class EventReader {

    private static final int HEADER_BYTES = 10;

    private final Map<Long, BodyReader> readers = new HashMap<>();
    private final AvroBody body = new AvroBody();

    /** Takes the text of every version, oldest first; the last is the current one. */
    EventReader(String[] schemas) {
        Schema current = parse(schemas[schemas.length - 1]);
        for (int i = 0; i < schemas.length; i++) {
            Schema written = parse(schemas[i]);
            readers.put(
                    SchemaNormalization.parsingFingerprint64(written), new BodyReader("v" + (i + 1), written, current));
        }
    }

    GenericRecord read(byte[] record) throws RejectedEvent {
        BodyReader reader = readerOf(record);
        body.reset(record, HEADER_BYTES);
        GenericRecord event = reader.resolve(body);
        if (!body.isEnd()) {
            throw new RejectedEvent(Reason.MALFORMED_BODY, "bytes follow the " + reader.version + " record");
        }
        return event;
    }

    private BodyReader readerOf(byte[] record) throws RejectedEvent {
        if (record.length == 0) {
            throw new RejectedEvent(Reason.EMPTY_RECORD, "the record has no bytes");
        }
        if (record.length < HEADER_BYTES || record[0] != (byte) 0xC3 || record[1] != 0x01) {
            throw new RejectedEvent(
                    Reason.BAD_HEADER, "the record does not begin with an Avro single-object header");
        }
        long fingerprint = ByteBuffer.wrap(record).order(ByteOrder.LITTLE_ENDIAN).getLong(2);
        BodyReader reader = readers.get(fingerprint);
        if (reader == null) {
            // In the byte order of the wire, so that it can be found in a dump of the record.
            throw new RejectedEvent(
                    Reason.UNKNOWN_FINGERPRINT,
                    String.format("no known schema has the fingerprint %016x", Long.reverseBytes(fingerprint)));
        }
        return reader;
    }

    private static Schema parse(String text) {
        return new Schema.Parser().parse(text);
    }

    /** Resolves bodies written with one version to the current one. */
    private static final class BodyReader extends GenericDatumReader<GenericRecord> {

        private final String version;

        BodyReader(String version, Schema written, Schema current) {
            super(written, current);
            this.version = version;
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
        @SuppressWarnings("rawtypes")
        protected Class findStringClass(Schema schema) {
            return String.class;
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
