package io.telefold;

import java.util.Map;
import org.apache.avro.generic.GenericRecord;
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

    private final String[] schemas;
    private transient EventReader reader;
    private transient Counter eventsIn;
    private transient Counter rejected;
    private transient volatile long lastArrival;

    /** Takes the text of every {@code .avsc}, oldest first; the last is the version that rows are resolved to. */
    public EventDecoder(String[] schemas) {
        if (schemas.length == 0) {
            throw new IllegalArgumentException("EventDecoder needs the text of at least one schema version");
        }
        this.schemas = schemas.clone();
    }

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        reader = new EventReader(schemas);
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
            setEvent(row, reader.read(payload), arrival);
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

    private static void setEvent(Row row, GenericRecord event, long arrival) throws RejectedEvent {
        String eventId = (String) event.get("event_id");
        String deviceId = (String) event.get("device_id");
        long eventTime = (Long) event.get("event_time");
        @SuppressWarnings("unchecked")
        Map<String, Double> metrics = (Map<String, Double>) event.get("metrics");
        EventChecks.check(eventId, deviceId, eventTime, metrics, arrival);
        row.setField(EventRow.EVENT_ID, eventId);
        row.setField(EventRow.DEVICE_ID, deviceId);
        row.setField(EventRow.TYPE, event.get("type"));
        row.setField(EventRow.EVENT_TIME, eventTime);
        row.setField(EventRow.SEQUENCE, event.get("sequence"));
        row.setField(EventRow.METRICS, metrics);
        row.setField(EventRow.ATTRIBUTES, event.get("attributes"));
        row.setField(EventRow.CORRELATION_ID, event.get("correlation_id"));
    }
}
