package io.telefold;

import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Takes what folds in Python emit apart: batches of rows for the stores, (count INT, lines STRING), and, where the count
 * is 0, lines of a group's key, a tab, and what a device contributes to the group. Those become what {@link
 * MicroBatch#append} takes, one by one.
 */
public final class Contributions implements FlatMapFunction<Row, Row> {

    private static final long serialVersionUID = 1L;
    private static final int COUNT = 0;
    private static final int LINES = 1;

    /** Keeps the batches of rows. */
    public static FilterFunction<Row> rows() {
        return batch -> !isContributions(batch);
    }

    @Override
    public void flatMap(Row batch, Collector<Row> out) {
        if (!isContributions(batch)) {
            return;
        }
        String lines = (String) batch.getField(LINES);
        for (int start = 0; start < lines.length(); ) {
            int tab = lines.indexOf('\t', start);
            int end = lines.indexOf('\n', tab);
            end = end < 0 ? lines.length() : end;
            out.collect(Row.of(lines.substring(start, tab), lines.substring(tab + 1, end)));
            start = end + 1;
        }
    }

    private static boolean isContributions(Row batch) {
        return (Integer) batch.getField(COUNT) == 0;
    }
}
