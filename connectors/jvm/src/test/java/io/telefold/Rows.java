package io.telefold;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.types.Row;

/** Rows of {@link EventRow} for tests. */
final class Rows {

    static final long T = 1_760_000_000_000L;

    private Rows() {}

    static Row event(String device, String id, long time) {
        return event(device, id, time, 0, Map.of());
    }

    static Row event(String device, String id, long time, long sequence, Map<String, Double> metrics) {
        Row row = new Row(EventRow.ARITY);
        row.setField(EventRow.EVENT_ID, id);
        row.setField(EventRow.DEVICE_ID, device);
        row.setField(EventRow.TYPE, "telemetry");
        row.setField(EventRow.EVENT_TIME, time);
        row.setField(EventRow.SEQUENCE, sequence);
        row.setField(EventRow.METRICS, new LinkedHashMap<>(metrics));
        row.setField(EventRow.ATTRIBUTES, new LinkedHashMap<String, String>());
        row.setField(EventRow.PARTITION_KEY, device);
        row.setField(EventRow.SHARD, "shardId-000000000000");
        row.setField(EventRow.SEQUENCE_NUMBER, "49");
        row.setField(EventRow.ARRIVAL, T);
        row.setField(EventRow.PAYLOAD, id.getBytes(StandardCharsets.UTF_8));
        return row;
    }

    static Row rejected(long arrival, byte[] payload) {
        Row row = new Row(EventRow.ARITY);
        row.setField(EventRow.PARTITION_KEY, "device-1");
        row.setField(EventRow.SHARD, "shardId-000000000003");
        row.setField(EventRow.SEQUENCE_NUMBER, "49664");
        row.setField(EventRow.ARRIVAL, arrival);
        row.setField(EventRow.PAYLOAD, payload);
        row.setField(EventRow.REASON, "bad_header");
        row.setField(EventRow.DETAIL, "a \"quoted\" detail");
        return row;
    }
}
