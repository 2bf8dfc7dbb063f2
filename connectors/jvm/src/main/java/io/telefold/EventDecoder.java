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
        row.setField(EventRow.PARTITION_KEY, partitionKey);
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

    @Override
    public TypeInformation<Row> getProducedType() {
        return EventRow.type();
    }
}
