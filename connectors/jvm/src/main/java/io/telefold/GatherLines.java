package io.telefold;

import org.apache.flink.types.Row;

/**
 * Joins batches of few lines to batches of many, as {@link DeviceFold#batchType} on both sides: a fold in Python emits
 * the rows of one device at a time, and a store is written to in large batches.
 */
public final class GatherLines extends FlushingOperator {

    private static final long serialVersionUID = 1L;
    private static final int COUNT = 0;
    private static final int LINES = 1;

    private final int maxRows;
    private final int maxChars;
    private transient StringBuilder lines;
    private transient int rows;

    /** Flushes every {@code intervalMs} of processing time, and at {@code maxRows} lines or {@code maxChars} characters. */
    public GatherLines(long intervalMs, int maxRows, int maxChars) {
        super(intervalMs);
        this.maxRows = maxRows;
        this.maxChars = maxChars;
    }

    @Override
    void clear() {
        lines = new StringBuilder();
        rows = 0;
    }

    @Override
    void add(Row batch) {
        if (rows > 0) {
            lines.append('\n');
        }
        lines.append((String) batch.getField(LINES));
        rows += (Integer) batch.getField(COUNT);
    }

    @Override
    boolean isEmpty() {
        return rows == 0;
    }

    @Override
    boolean isFull() {
        return rows >= maxRows || lines.length() >= maxChars;
    }

    @Override
    void emitAll() {
        emit(Row.of(rows, lines.toString()), rows);
    }
}
