package io.telefold.batch;

import org.apache.flink.types.Row;

/**
 * Joins batches of few lines to batches of many, as {@code RowLines.batchType} on both sides: a fold in Python emits
 * the rows of one device at a time, and a store is written to in large batches.
 */
public final class GatherLines extends FlushingOperator<Row> {

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
    protected void clear() {
        lines = new StringBuilder();
        rows = 0;
    }

    @Override
    protected void add(Row batch) {
        if (rows > 0) {
            lines.append('\n');
        }
        lines.append((String) batch.getField(LINES));
        rows += (Integer) batch.getField(COUNT);
    }

    @Override
    protected boolean isEmpty() {
        return rows == 0;
    }

    @Override
    protected boolean isFull() {
        return rows >= maxRows || lines.length() >= maxChars;
    }

    @Override
    protected void emitAll() {
        emit(Row.of(rows, lines.toString()), rows);
    }
}
