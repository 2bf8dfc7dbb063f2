package io.telefold;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;

/**
 * What {@link Combine} emits: some of the readings of one metric of one device in one base window, folded. Partials of
 * the same window merge by adding, {@code MIN} and {@code MAX}.
 */
public final class PartialRow {

    private PartialRow() {}

    /**
     * The type of the row. Times are epoch milliseconds, {@code n} is the count of readings, {@code total_sq} the sum
     * of their squares, and {@code last_reading} the text of {@link #last}. The names are none that SQL reserves.
     */
    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {
                    Types.STRING,
                    Types.STRING,
                    Types.LONG,
                    Types.LONG,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.LONG,
                    Types.LONG,
                    Types.STRING
                },
                new String[] {
                    "device_id",
                    "metric",
                    "window_start",
                    "n",
                    "total",
                    "lowest",
                    "highest",
                    "total_sq",
                    "first_at",
                    "last_at",
                    "last_reading"
                });
    }

    /**
     * A reading as text that sorts by event_time, then sequence: 16 hex digits of each, then the value, from the 33rd
     * character on. So {@code MAX(last_reading)} is the latest reading whatever partials it is taken over. Flipping the
     * sign bit of the sequence makes negative ones sort first; event_time has no negative ones.
     */
    static String last(long eventTime, long sequence, double value) {
        return hex(eventTime) + hex(sequence ^ Long.MIN_VALUE) + value;
    }

    private static String hex(long value) {
        String digits = Long.toHexString(value);
        return "0000000000000000".substring(digits.length()) + digits;
    }
}
