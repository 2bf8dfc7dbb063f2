package io.telefold.event;

import io.kinesisflink.source.ShardPosition;
import java.util.Comparator;

/**
 * The order of positions in a shard: the twin of {@code position_order} in {@code schemas/log_records.py}. A position is
 * a sequence number, decimal and longer than 64 bits, or, of a record that a producer aggregated with others, {@code
 * <sequence number>:<its place among them>}. Null is before all of them, the end of a closed shard after.
 */
public final class SequenceOrder implements Comparator<String> {

    public static final SequenceOrder INSTANCE = new SequenceOrder();

    private static final String END = ShardPosition.end().toString();

    private static final char BEFORE_PLACE = ':';

    private SequenceOrder() {}

    /** The position of a record; {@code place} is null unless it was aggregated with others. */
    public static String position(String sequenceNumber, Long place) {
        return place == null ? sequenceNumber : sequenceNumber + BEFORE_PLACE + place;
    }

    @Override
    public int compare(String a, String b) {
        if (a == null || b == null) {
            return a == b ? 0 : a == null ? -1 : 1;
        }
        if (a.equals(END) || b.equals(END)) {
            return Boolean.compare(a.equals(END), b.equals(END));
        }
        int endOfA = endOfNumber(a);
        int endOfB = endOfNumber(b);
        if (endOfA == a.length() && endOfB == b.length()) {
            return compareNumbers(a, b);
        }
        int order = compareNumbers(a.substring(0, endOfA), b.substring(0, endOfB));
        return order != 0 ? order : compareNumbers(place(a, endOfA), place(b, endOfB));
    }

    /** No leading zeros: the longer number is the greater. */
    private static int compareNumbers(String a, String b) {
        return a.length() != b.length() ? Integer.compare(a.length(), b.length()) : a.compareTo(b);
    }

    private static int endOfNumber(String position) {
        int end = position.indexOf(BEFORE_PLACE);
        return end < 0 ? position.length() : end;
    }

    /** Empty, which is before all others, where there is none. */
    private static String place(String position, int endOfNumber) {
        return endOfNumber == position.length() ? "" : position.substring(endOfNumber + 1);
    }

    public static boolean isAfter(String a, String b) {
        return INSTANCE.compare(a, b) > 0;
    }

    public static String greater(String a, String b) {
        return isAfter(a, b) ? a : b;
    }

    public static boolean isPosition(String text) {
        return text.matches("(0|[1-9][0-9]*)(:(0|[1-9][0-9]*))?");
    }
}
