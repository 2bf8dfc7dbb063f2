package io.kinesisflink.source;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.io.Serializable;
import java.util.Objects;

/**
 * A place in a shard, behind which reading goes on: the oldest record there is, a time, behind a record, or the end.
 *
 * <p>A record is named by its sequence number, and if it lay in an aggregate of a Kinesis Producer Library also by its
 * index there. As a text a place is {@code TRIM_HORIZON}, {@code AT_TIMESTAMP:<epoch ms>}, {@code <sequence number>},
 * {@code <sequence number>:<index>} or {@code SHARD_END}.
 */
public final class ShardPosition implements Serializable {

    private static final long serialVersionUID = 1L;

    /** The kinds of places. Their order is part of the state of checkpoints. */
    private enum Kind {
        OLDEST,
        AT_TIME,
        AFTER_RECORD,
        END
    }

    private static final ShardPosition OLDEST = new ShardPosition(Kind.OLDEST, 0, null, null);
    private static final ShardPosition END = new ShardPosition(Kind.END, 0, null, null);
    private static final String OLDEST_TEXT = "TRIM_HORIZON";
    private static final String TIME_TEXT = "AT_TIMESTAMP:";
    private static final String END_TEXT = "SHARD_END";

    private final Kind kind;
    private final long timeMs;
    private final String sequenceNumber;
    private final Long subSequenceNumber;

    private ShardPosition(Kind kind, long timeMs, String sequenceNumber, Long subSequenceNumber) {
        this.kind = kind;
        this.timeMs = timeMs;
        this.sequenceNumber = sequenceNumber;
        this.subSequenceNumber = subSequenceNumber;
    }

    /** The oldest record that the shard still has. */
    public static ShardPosition oldest() {
        return OLDEST;
    }

    /** The first record that arrived at this time, in epoch milliseconds, or later. */
    public static ShardPosition atTime(long epochMs) {
        return new ShardPosition(Kind.AT_TIME, epochMs, null, null);
    }

    /** Behind a record, and behind all records of it if it is an aggregate. */
    public static ShardPosition after(String sequenceNumber) {
        return after(sequenceNumber, null);
    }

    /** Behind the record with this index in an aggregate; null stands for the whole record. */
    public static ShardPosition after(String sequenceNumber, Long subSequenceNumber) {
        checkNumber(sequenceNumber);
        return ofRead(sequenceNumber, subSequenceNumber);
    }

    /** As {@link #after(String, Long)}, of a number that came from Kinesis itself. */
    static ShardPosition ofRead(String sequenceNumber, Long subSequenceNumber) {
        return new ShardPosition(Kind.AFTER_RECORD, 0, sequenceNumber, subSequenceNumber);
    }

    /** Behind everything that the shard will ever hold. */
    public static ShardPosition end() {
        return END;
    }

    /** The place that a text stands for. IllegalArgumentException if it is none. */
    public static ShardPosition parse(String text) {
        if (text.equals(OLDEST_TEXT)) {
            return OLDEST;
        }
        if (text.equals(END_TEXT)) {
            return END;
        }
        try {
            if (text.startsWith(TIME_TEXT)) {
                return atTime(Long.parseLong(text.substring(TIME_TEXT.length())));
            }
            int colon = text.indexOf(':');
            return colon < 0 ? after(text) : after(text.substring(0, colon), Long.valueOf(text.substring(colon + 1)));
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("Not a position in a shard: " + text, e);
        }
    }

    public boolean isOldest() {
        return kind == Kind.OLDEST;
    }

    public boolean isTime() {
        return kind == Kind.AT_TIME;
    }

    public boolean isAfterRecord() {
        return kind == Kind.AFTER_RECORD;
    }

    public boolean isEnd() {
        return kind == Kind.END;
    }

    /** The time in epoch milliseconds, 0 if the place is no time. */
    public long timeMs() {
        return timeMs;
    }

    /** The sequence number of the record, null if the place is not behind one. */
    public String sequenceNumber() {
        return sequenceNumber;
    }

    /** The index of the record in its aggregate, null if it lay in none or the whole of it is meant. */
    public Long subSequenceNumber() {
        return subSequenceNumber;
    }

    /** Whether a record lies before this place by its numbers alone: false for the oldest and for times. */
    boolean covers(String number, Long index) {
        if (kind != Kind.AFTER_RECORD) {
            return kind == Kind.END;
        }
        int order = compareNumbers(number, sequenceNumber);
        if (order != 0) {
            return order < 0;
        }
        return subSequenceNumber == null || index == null || index <= subSequenceNumber;
    }

    /** Sequence numbers are decimal, without leading zeros and longer than 64 bits: the longer one is the greater. */
    static int compareNumbers(String a, String b) {
        return a.length() != b.length() ? Integer.compare(a.length(), b.length()) : a.compareTo(b);
    }

    private static void checkNumber(String sequenceNumber) {
        if (sequenceNumber.isEmpty() || !sequenceNumber.chars().allMatch(c -> c >= '0' && c <= '9')) {
            throw new IllegalArgumentException("Not a sequence number: " + sequenceNumber);
        }
    }

    void write(DataOutput out) throws IOException {
        out.writeByte(kind.ordinal());
        if (kind == Kind.AT_TIME) {
            out.writeLong(timeMs);
        } else if (kind == Kind.AFTER_RECORD) {
            out.writeUTF(sequenceNumber);
            out.writeBoolean(subSequenceNumber != null);
            out.writeLong(subSequenceNumber == null ? 0 : subSequenceNumber);
        }
    }

    static ShardPosition read(DataInput in) throws IOException {
        int kind = in.readByte();
        if (kind == Kind.OLDEST.ordinal()) {
            return OLDEST;
        }
        if (kind == Kind.END.ordinal()) {
            return END;
        }
        if (kind == Kind.AT_TIME.ordinal()) {
            return atTime(in.readLong());
        }
        if (kind != Kind.AFTER_RECORD.ordinal()) {
            throw new IOException("Unknown kind of a position in a shard: " + kind);
        }
        String number = in.readUTF();
        boolean isInAggregate = in.readBoolean();
        long index = in.readLong();
        return ofRead(number, isInAggregate ? (Long) index : null);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof ShardPosition that
                && kind == that.kind
                && timeMs == that.timeMs
                && Objects.equals(sequenceNumber, that.sequenceNumber)
                && Objects.equals(subSequenceNumber, that.subSequenceNumber);
    }

    @Override
    public int hashCode() {
        return Objects.hash(kind, timeMs, sequenceNumber, subSequenceNumber);
    }

    @Override
    public String toString() {
        return switch (kind) {
            case OLDEST -> OLDEST_TEXT;
            case AT_TIME -> TIME_TEXT + timeMs;
            case AFTER_RECORD -> subSequenceNumber == null ? sequenceNumber : sequenceNumber + ":" + subSequenceNumber;
            case END -> END_TEXT;
        };
    }
}
