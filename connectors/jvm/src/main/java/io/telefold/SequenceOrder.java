package io.telefold;

import java.util.Comparator;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;

/**
 * The order of a shard's sequence numbers, which are decimal and longer than 64 bits: the twin of
 * {@code sequence_order} in {@code schemas/log_records.py}. Null is before all of them, the end of a closed shard
 * after.
 */
final class SequenceOrder implements Comparator<String> {

    static final SequenceOrder INSTANCE = new SequenceOrder();

    private static final String END =
            SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get().getSequenceNumber();

    private SequenceOrder() {}

    @Override
    public int compare(String a, String b) {
        if (a == null || b == null) {
            return a == b ? 0 : a == null ? -1 : 1;
        }
        if (a.equals(END) || b.equals(END)) {
            return Boolean.compare(a.equals(END), b.equals(END));
        }
        // No leading zeros: the longer number is the greater.
        return a.length() != b.length() ? Integer.compare(a.length(), b.length()) : a.compareTo(b);
    }

    static boolean isAfter(String a, String b) {
        return INSTANCE.compare(a, b) > 0;
    }

    static String greater(String a, String b) {
        return isAfter(a, b) ? a : b;
    }

    /** The last record read that the state of the Kinesis consumer stands for; null if it names a place to start at. */
    static String positionOf(SequenceNumber state) {
        boolean isPlaceToStart = SentinelSequenceNumber.isSentinelSequenceNumber(state)
                && !state.getSequenceNumber().equals(END);
        return isPlaceToStart ? null : state.getSequenceNumber();
    }

    static boolean isEnd(String position) {
        return END.equals(position);
    }

    static boolean isSequenceNumber(String text) {
        return text.equals("0") || text.matches("[1-9][0-9]*");
    }
}
