package io.telefold.event;

import io.kinesisflink.source.KinesisDeserializationSchema;
import io.kinesisflink.source.KinesisRecord;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.util.Collector;

/**
 * Kinesis records to {@link Event}s: one for every record, valid or rejected with a reason.
 *
 * <p>Never throws for what a record holds, because a record that fails the job fails it again after every restart.
 */
public final class EventDecoder implements KinesisDeserializationSchema<Event> {

    private static final long serialVersionUID = 1L;

    /** In code points, as Kinesis bounds the key of a record, but not those of the records within an aggregate. */
    private static final int LONGEST_KEY = 256;

    private static final String CUT = "\u2026";

    private final String readings;
    private final String limits;
    private transient EventReader reader;

    /** Takes what {@link EventReader} takes, and refuses what that would refuse only where the job runs. */
    public EventDecoder(String readings, String limits) {
        new EventReader(readings, limits);
        this.readings = readings;
        this.limits = limits;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        reader = new EventReader(readings, limits);
    }

    /** Another one, which is open. */
    public EventDecoder opened() {
        EventDecoder other = new EventDecoder(readings, limits);
        other.open(null);
        return other;
    }

    @Override
    public void deserialize(KinesisRecord record, Collector<Event> out) {
        Event event = decode(
                record.data(), record.partitionKey(), record.sequenceNumber(), record.arrivalMs(), record.shardId());
        event.subSequenceNumber = record.subSequenceNumber();
        event.previous = record.previous().isAfterRecord() ? record.previous().toString() : null;
        out.collect(event);
    }

    /** The event of a record; {@code arrival} is in epoch milliseconds, and {@code data} may be null. */
    public Event decode(byte[] data, String partitionKey, String sequenceNumber, long arrival, String shard) {
        byte[] payload = data == null ? new byte[0] : data;
        Event event = new Event();
        event.partitionKey = keptKey(partitionKey);
        event.shard = shard;
        event.sequenceNumber = sequenceNumber;
        event.arrival = arrival;
        event.payload = payload;
        try {
            reader.read(payload, event);
        } catch (RejectedEvent e) {
            event.reject(e.reason, e.getMessage());
        }
        return event;
    }

    /**
     * The key, or its beginning and an ellipsis where Kinesis would refuse it as that of a dead letter: the twin of {@code
     * kept_key} in {@code connectors/aggregates.py}. No more of a long one is looked at, since thousands of records of an
     * aggregate may share it.
     */
    static String keptKey(String key) {
        String start = key.substring(0, Math.min(key.length(), 2 * LONGEST_KEY));
        boolean isKept = !key.isEmpty()
                && start.length() == key.length()
                && start.codePointCount(0, start.length()) <= LONGEST_KEY;
        if (isKept) {
            return key;
        }
        int longest = Math.min(LONGEST_KEY - 1, start.codePointCount(0, start.length()));
        return start.substring(0, start.offsetByCodePoints(0, longest)) + CUT;
    }

    @Override
    public TypeInformation<Event> getProducedType() {
        return Event.type();
    }
}
