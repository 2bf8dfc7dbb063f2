package io.telefold.deadletter;

import io.kinesisflink.sink.KinesisSink;
import io.kinesisflink.sink.KinesisSinkBuilder;
import io.telefold.event.Event;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Rejected {@link Event}s to the JSON of the dead-letter stream, with which they can be understood and, from
 * their raw bytes, sent again: reason, detail, payload (base64), partition_key, shard, sequence_number, arrival, the
 * sub_sequence_number of a record that was aggregated with others, and the correlation_id where it could be read and is
 * not over 256 characters.
 *
 * <p>A record of Kinesis holds 1 MiB and base64 makes 4 bytes of 3. A payload that would not fit is spread over several
 * letters, which then have "part", from 1, and "parts" too; a reader joins those of
 * one (shard, sequence_number, sub_sequence_number).
 */
public final class DeadLetters implements FlatMapFunction<Event, Row> {

    static final int MAX_PAYLOAD_BYTES = 700_000;
    static final int MAX_CORRELATION_ID_CHARACTERS = 256;

    /** A letter waits this long for others of its call. What waits is in the sink's checkpointed state. */
    private static final Duration MAX_BUFFERED = Duration.ofMillis(500);

    private static final long serialVersionUID = 1L;
    private static final int KEY = 0;
    private static final int LETTER = 1;
    private static final ObjectMapper JSON = new ObjectMapper();

    private transient DeadLetterLog log;

    /** (partition_key STRING, letter STRING): what this emits and {@link #sink} takes. */
    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"partition_key", "letter"});
    }

    /** Writes letters to a Kinesis stream, a name or an ARN, at least once; what Kinesis refuses for now is tried again. */
    public static KinesisSinkBuilder<Row> sink(String stream) {
        return KinesisSink.<Row>builder(stream)
                .data(row -> ((String) row.getField(LETTER)).getBytes(StandardCharsets.UTF_8))
                .partitionKey(row -> (String) row.getField(KEY))
                .withoutOrder() // one device's letters, however many, are not to hold up all others
                .maxTimeInBuffer(MAX_BUFFERED);
    }

    @Override
    public void flatMap(Event event, Collector<Row> out) throws Exception {
        if (log == null) {
            log = new DeadLetterLog();
        }
        log.rejected(event, System.nanoTime() / 1_000_000);
        byte[] payload = event.payload;
        int parts = Math.max(1, (payload.length + MAX_PAYLOAD_BYTES - 1) / MAX_PAYLOAD_BYTES);
        for (int part = 1; part <= parts; part++) {
            int start = (part - 1) * MAX_PAYLOAD_BYTES;
            int end = Math.min(start + MAX_PAYLOAD_BYTES, payload.length);
            ObjectNode letter = letter(event, Arrays.copyOfRange(payload, start, end));
            if (parts > 1) {
                letter.put("part", part).put("parts", parts);
            }
            out.collect(Row.of(event.partitionKey, JSON.writeValueAsString(letter)));
        }
    }

    private static ObjectNode letter(Event event, byte[] payload) {
        ObjectNode letter = JSON.createObjectNode()
                .put("reason", event.reason)
                .put("detail", event.detail)
                .put("payload", payload)
                .put("partition_key", event.partitionKey)
                .put("shard", event.shard)
                .put("sequence_number", event.sequenceNumber)
                .put("arrival", event.arrival);
        Long subSequenceNumber = event.subSequenceNumber;
        if (subSequenceNumber != null) {
            letter.put("sub_sequence_number", subSequenceNumber);
        }
        String correlationId = correlationId(event);
        return correlationId == null ? letter : letter.put("correlation_id", correlationId);
    }

    /** Null where there is none, or one so long that a letter might not fit its record. */
    static String correlationId(Event event) {
        String id = event.correlationId;
        return id == null || id.length() > MAX_CORRELATION_ID_CHARACTERS ? null : id;
    }
}
