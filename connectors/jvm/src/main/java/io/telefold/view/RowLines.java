package io.telefold.view;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;

/** View rows as lines, gathered to batches: see {@link #batchType}. */
public final class RowLines {

    private static final int MAX_ROWS_A_BATCH = 1_000;
    private static final int MAX_STARTS_KEPT = 10_000;

    private final Batches batches;
    private final StringBuilder lines = new StringBuilder();
    private final Map<Long, String> starts = new HashMap<>();
    private int held;

    public RowLines(Batches batches) {
        this.batches = batches;
    }

    /** (count INT, rows STRING): so many lines, each a {@code schemas.view_rows.ViewUpdate} in JSON. */
    public static RowTypeInfo batchType() {
        return new RowTypeInfo(new TypeInformation<?>[] {Types.INT, Types.STRING}, new String[] {"count", "rows"});
    }

    /** Appends a row if one is due, and no more is; the arguments are those of {@link RowFormat#append}. */
    public void appendIfChanged(
            RowFormat format, String quotedPartition, String metric, String suffix, RowValues values, long aboutMs) {
        if (!values.changed) {
            return;
        }
        if (held > 0) {
            lines.append('\n');
        }
        format.append(lines, quotedPartition, metric, suffix, values, aboutMs);
        values.changed = false;
        held++;
        if (held == MAX_ROWS_A_BATCH) {
            emit();
        }
    }

    /** Sends what is held, if anything is. */
    public void emit() {
        if (held > 0) {
            batches.emit(held, lines.toString());
            lines.setLength(0);
            held = 0;
        }
    }

    /** Windows of many devices share their starts. */
    public String isoTime(long start) {
        if (starts.size() > MAX_STARTS_KEPT) {
            starts.clear();
        }
        return starts.computeIfAbsent(
                start, ms -> Instant.ofEpochSecond(Math.floorDiv(ms, 1000L)).toString());
    }

    /** Where batches go. */
    public interface Batches {

        void emit(int rows, String lines);
    }
}
