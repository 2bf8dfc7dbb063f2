package io.telefold;

import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.types.Row;

/**
 * Kinesis records to rows of {@link EventRow}: one row for every record, valid or rejected with a reason.
 *
 * <p>Never throws for what a record holds, because a record that fails the job fails it again after every restart.
 */
public final class EventDecoder implements KinesisDeserializationSchema<Row> {

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

    @Override
    public Row deserialize(
            byte[] data, String partitionKey, String sequenceNumber, long arrival, String stream, String shard) {
        byte[] payload = data == null ? new byte[0] : data;
        Row row = new Row(EventRow.ARITY);
        row.setField(EventRow.PARTITION_KEY, keptKey(partitionKey));
        row.setField(EventRow.SHARD, shard);
        row.setField(EventRow.SEQUENCE_NUMBER, sequenceNumber);
        row.setField(EventRow.ARRIVAL, arrival);
        row.setField(EventRow.PAYLOAD, payload);
        try {
            reader.read(payload, arrival, row);
        } catch (RejectedEvent e) {
            row.setField(EventRow.REASON, e.reason.toString());
            row.setField(EventRow.DETAIL, e.getMessage());
        }
        return row;
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
    public TypeInformation<Row> getProducedType() {
        return EventRow.type();
    }
}
