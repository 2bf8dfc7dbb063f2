package io.telefold.event;

import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * One Kinesis record as it travels through every stage: its event, where it came from, and what is wrong with it.
 *
 * <p>If its {@link #reason} is null, it holds a valid event. Any other is rejected; what it says of itself may be missing.
 * The raw bytes are always there, because an archive and the dead letters need them as they were received.
 */
public final class Event {

    /** Null where no event could be read, and then so are all fields that an event always has. */
    public String eventId;

    public String deviceId;
    public String type;

    /** Epoch milliseconds, when it happened on the device. */
    public long eventTime;

    public long sequence;
    public Map<String, Double> metrics;

    /** Many events share them, so they are not to be changed. */
    public Map<String, String> attributes;

    /** Null where there is none; a rejected event may have one, too. */
    public String correlationId;

    /** The event_id of the event that this one replaces, null for all but corrections. */
    public String corrects;

    public String partitionKey;
    public String shard;
    public String sequenceNumber;

    /** The place of the record in the one that a producer aggregated it into; null if that was not aggregated. */
    public Long subSequenceNumber;

    /**
     * The {@link #position} of the record that was read before this one of the same shard of the stream; null for the
     * first one, and for what was not read from the stream.
     */
    public String previous;

    /** Epoch milliseconds, when Kinesis took the record. */
    public long arrival;

    public byte[] payload;

    /** A {@link Reason}, null for a valid event. */
    public String reason;

    /** What is wrong with it in one sentence, null for a valid event. */
    public String detail;

    /**
     * Of each of the metrics, in their order, by how much a counter has risen: see {@code Latest.increaseTo}. Null until the
     * event is folded, and where nobody asks.
     */
    public double[] increases;

    /** Its fields are those of {@code other}, which shares its maps and arrays. */
    public static Event copyOf(Event other) {
        Event copy = new Event();
        copy.eventId = other.eventId;
        copy.deviceId = other.deviceId;
        copy.type = other.type;
        copy.eventTime = other.eventTime;
        copy.sequence = other.sequence;
        copy.metrics = other.metrics;
        copy.attributes = other.attributes;
        copy.correlationId = other.correlationId;
        copy.corrects = other.corrects;
        copy.partitionKey = other.partitionKey;
        copy.shard = other.shard;
        copy.sequenceNumber = other.sequenceNumber;
        copy.subSequenceNumber = other.subSequenceNumber;
        copy.previous = other.previous;
        copy.arrival = other.arrival;
        copy.payload = other.payload;
        copy.reason = other.reason;
        copy.detail = other.detail;
        copy.increases = other.increases;
        return copy;
    }

    public boolean isRejected() {
        return reason != null;
    }

    public void reject(Reason why, String sentence) {
        reason = why.toString();
        detail = sentence;
    }

    /** Where the record lies in its shard, in the order of {@link SequenceOrder}. */
    public String position() {
        return SequenceOrder.position(sequenceNumber, subSequenceNumber);
    }

    public static TypeInformation<Event> type() {
        return EventType.INSTANCE;
    }

    @Override
    public String toString() {
        return shard + ":" + position() + " " + deviceId + " " + eventId;
    }
}
