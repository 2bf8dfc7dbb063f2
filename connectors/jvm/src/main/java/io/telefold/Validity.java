package io.telefold;

import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.types.Row;

/** Keeps the valid rows of {@link EventRow}, or the rejected ones. */
public final class Validity implements FilterFunction<Row> {

    private static final long serialVersionUID = 1L;

    private final boolean keepValid;

    private Validity(boolean keepValid) {
        this.keepValid = keepValid;
    }

    public static Validity valid() {
        return new Validity(true);
    }

    public static Validity rejected() {
        return new Validity(false);
    }

    @Override
    public boolean filter(Row row) {
        return (row.getField(EventRow.REASON) == null) == keepValid;
    }
}
