package io.telefold;

import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.types.Row;

/** Keeps the rejected rows of {@link EventRow}; {@link Intake} keeps the others. */
public final class Validity implements FilterFunction<Row> {

    private static final long serialVersionUID = 1L;

    public static Validity rejected() {
        return new Validity();
    }

    @Override
    public boolean filter(Row row) {
        return row.getField(EventRow.REASON) != null;
    }
}
