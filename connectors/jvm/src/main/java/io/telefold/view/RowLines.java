package io.telefold.view;

import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;

/** View rows as lines, gathered to batches: see {@link #batchType}. */
public final class RowLines {

    private static final int MAX_ROWS_A_BATCH = 1_000;
    private static final int MAX_CHARS_A_BATCH = 4 << 20;
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
            RowFormat format,
            String quotedPartition,
            String metric,
            String suffix,
            RowValues values,
            long aboutMs,
            Destination to) {
        if (!values.changed) {
            return;
        }
        beginLine();
        format.append(lines, quotedPartition, metric, suffix, values, aboutMs);
        endWith(to);
        values.changed = false;
        endLine();
    }

    /**
     * Appends an item of a device: {@link PackedRows}, when it expires in epoch seconds or null for never, and the sort keys
     * of the rows in it that changed, as JSON strings with commas between them. One that is new is likely not to be there
     * yet, which spares the durable store a look.
     */
    public void appendItem(
            String quotedDevice,
            String sort,
            long version,
            Long expiresAt,
            byte[] body,
            CharSequence changed,
            Destination to,
            boolean isNew) {
        beginLine();
        lines.append("{\"view\":\"packed\",\"partition\":\"device#").append(quotedDevice);
        lines.append("\",\"sort\":\"").append(sort);
        lines.append("\",\"version\":").append(version);
        lines.append(",\"expires_at\":").append(expiresAt);
        lines.append(",\"packed\":\"").append(Base64.getEncoder().encodeToString(body));
        lines.append("\",\"changed\":[").append(changed).append(']');
        if (isNew) {
            lines.append(",\"is_new\":true");
        }
        lines.append('}');
        endWith(to);
        endLine();
    }

    private void endWith(Destination to) {
        if (to != Destination.BOTH) {
            lines.setLength(lines.length() - 1);
            lines.append(",\"to\":\"").append(to.name).append("\"}");
        }
    }

    private void beginLine() {
        if (held > 0) {
            lines.append('\n');
        }
    }

    private void endLine() {
        held++;
        if (held == MAX_ROWS_A_BATCH || lines.length() > MAX_CHARS_A_BATCH) {
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
