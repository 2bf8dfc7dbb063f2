package io.telefold.groups;

import io.telefold.view.Totals;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;

/**
 * What {@link GroupCombine} emits and {@link GroupRollups} takes: {@link Totals} of some of the readings of a group's metric
 * in one window.
 */
final class PartialRow {

    private static final int KEY = 0;
    private static final int START = 1;
    private static final char BETWEEN = '#';

    private PartialRow() {}

    static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {
                    Types.STRING,
                    Types.LONG,
                    Types.LONG,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.DOUBLE,
                    Types.LONG,
                    Types.LONG,
                    Types.DOUBLE
                },
                new String[] {"key", "start", "count", "sum", "min", "max", "m2", "first_at", "last_at", "increase"});
    }

    static Row of(String key, long start, Totals totals) {
        return Row.of(
                key,
                start,
                totals.count,
                totals.sum,
                totals.min,
                totals.max,
                totals.m2,
                totals.firstAt,
                totals.lastAt,
                totals.increase);
    }

    static String key(Row row) {
        return (String) row.getField(KEY);
    }

    static long start(Row row) {
        return (Long) row.getField(START);
    }

    static Totals totals(Row row) {
        Totals totals = new Totals();
        totals.count = (Long) row.getField(2);
        totals.sum = (Double) row.getField(3);
        totals.min = (Double) row.getField(4);
        totals.max = (Double) row.getField(5);
        totals.m2 = (Double) row.getField(6);
        totals.firstAt = (Long) row.getField(7);
        totals.lastAt = (Long) row.getField(8);
        totals.increase = (Double) row.getField(9);
        return totals;
    }

    /** What windows are kept under together; of these names only that of the group may have a {@code #} in it. */
    static String key(String size, String metric, long block, String group) {
        return size + BETWEEN + metric + BETWEEN + block + BETWEEN + group;
    }

    /** Size, metric, block and group. */
    static String[] parts(String key) {
        return key.split(String.valueOf(BETWEEN), 4);
    }

    /** By {@link #key}. */
    static final class Key implements KeySelector<Row, String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String getKey(Row row) {
            return key(row);
        }
    }
}
