package io.telefold;

import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.types.Row;

/**
 * Kinesis records to rows of {@link EventRow}: one row for every record, valid or rejected with a reason.
 *
 * <p>Never throws for what a record holds, because a record that fails the job fails it again after every restart.
 *
 * <p>The consumer opens one copy for each shard, in a metric group of that shard: sum the counters over shards, and
 * take the oldest of the newest arrivals for the lag of a subtask.
 */
public final class EventDecoder implements KinesisDeserializationSchema<Row> {

    private static final long serialVersionUID = 1L;

    private final String readings;
    private transient EventReader reader;
    private transient Counter eventsIn;
    private transient Counter rejected;
    private transient volatile long lastArrival;

    /** Takes what {@link EventReader} takes, and refuses what that would refuse only where the job runs. */
    public EventDecoder(String readings) {
        new EventReader(readings);
        this.readings = readings;
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        reader = new EventReader(readings);
        MetricGroup metrics = context.getMetricGroup();
        eventsIn = metrics.addGroup("telefold").counter("events_in", new SimpleCounter());
        rejected = metrics.addGroup("telefold").counter("rejected", new SimpleCounter());
        metrics.addGroup("telefold").gauge("last_arrival", () -> lastArrival);
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
        eventsIn.inc();
        lastArrival = Math.max(lastArrival, arrival);
        try {
            reader.read(payload, arrival, row);
        } catch (RejectedEvent e) {
            rejected.inc();
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
