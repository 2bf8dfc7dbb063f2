package io.telefold.event;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataOutputSerializer;

/** {@link Event}s for tests. */
public final class Events {

    public static final long T = 1_760_000_000_000L;

    private Events() {}

    public static Event event(String device, String id, long time) {
        return event(device, id, time, 0, Map.of());
    }

    public static Event event(String device, String id, long time, long sequence, Map<String, Double> metrics) {
        Event event = new Event();
        event.eventId = id;
        event.deviceId = device;
        event.type = "telemetry";
        event.eventTime = time;
        event.sequence = sequence;
        event.metrics = new LinkedHashMap<>(metrics);
        event.attributes = new LinkedHashMap<String, String>();
        event.partitionKey = device;
        event.shard = "shardId-000000000000";
        event.sequenceNumber = "49";
        event.arrival = T;
        event.payload = id.getBytes(StandardCharsets.UTF_8);
        return event;
    }

    /** The same, arrived so many milliseconds after {@link #T}. */
    public static Event after(long ms, Event event) {
        event.arrival = T + ms;
        return event;
    }

    public static Event rejected(long arrival, byte[] payload) {
        Event event = new Event();
        event.partitionKey = "device-1";
        event.shard = "shardId-000000000003";
        event.sequenceNumber = "49664";
        event.arrival = arrival;
        event.payload = payload;
        event.reason = "bad_header";
        event.detail = "a \"quoted\" detail";
        return event;
    }

    /** All that the event holds, to be compared. */
    public static ByteBuffer bytes(Event event) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        new EventSerializer().serialize(event, out);
        return ByteBuffer.wrap(out.getCopyOfBuffer());
    }
}
