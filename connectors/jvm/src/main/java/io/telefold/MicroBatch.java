package io.telefold;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/**
 * Turns rows into batches, one string of lines each, because what crosses into Python costs by the row and not by the
 * byte. Values are JSON, which escapes the line feeds that its texts hold: none is inside a value.
 *
 * <p>Full with {@code maxRows} values or {@code maxChars} characters of keys and values; it then flushes at once, so
 * that back-pressure from downstream bounds its memory.
 */
public abstract class MicroBatch extends FlushingOperator {

    private static final long serialVersionUID = 1L;
    private static final int KEY = 0;

    private final int maxRows;
    private final long maxChars;
    private transient int rows;
    private transient long chars;

    private MicroBatch(long intervalMs, int maxRows, long maxChars) {
        super(intervalMs);
        this.maxRows = maxRows;
        this.maxChars = maxChars;
    }

    /**
     * Keeps for each key the value of the highest version; of two with the same version the one that came later. Takes
     * a changelog of (key STRING, version LONG, value STRING) whose retractions it ignores, as a newer version follows
     * each; emits {@link #latestType}.
     */
    public static MicroBatch latest(long intervalMs, int maxRows, long maxChars) {
        return new Latest(intervalMs, maxRows, maxChars);
    }

    /**
     * Keeps all values of a key, in order. Takes appended (key STRING, value STRING); emits {@link #appendType}. A
     * watermark waits for the values before it; the one that ends all time stays here, since a log that ends does not.
     */
    public static MicroBatch append(long intervalMs, int maxRows, long maxChars) {
        return new Append(intervalMs, maxRows, maxChars);
    }

    /** (count INT, values STRING): so many lines, of different keys each. */
    public static RowTypeInfo latestType() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.INT, Types.STRING}, new String[] {"count", "values"});
    }

    /** (key STRING, values STRING): lines of one key. */
    public static RowTypeInfo appendType() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"key", "values"});
    }

    @Override
    void clear() {
        rows = 0;
        chars = 0;
    }

    @Override
    final boolean isEmpty() {
        return rows == 0;
    }

    @Override
    final boolean isFull() {
        return rows >= maxRows || chars >= maxChars;
    }

    final void grow(int moreRows, int moreChars) {
        rows += moreRows;
        chars += moreChars;
    }

    private static final class Latest extends MicroBatch {

        private static final long serialVersionUID = 1L;
        private static final int VERSION = 1;
        private static final int VALUE = 2;
        private static final int MAX_VALUES_IN_A_ROW = 5_000;

        private transient Map<String, Versioned> newest;

        Latest(long intervalMs, int maxRows, long maxChars) {
            super(intervalMs, maxRows, maxChars);
        }

        @Override
        void clear() {
            super.clear();
            newest = new LinkedHashMap<>();
        }

        @Override
        void add(Row row) {
            if (row.getKind() == RowKind.UPDATE_BEFORE || row.getKind() == RowKind.DELETE) {
                return;
            }
            String key = (String) row.getField(KEY);
            long version = (Long) row.getField(VERSION);
            String value = (String) row.getField(VALUE);
            Versioned held = newest.get(key);
            if (held == null) {
                newest.put(key, new Versioned(version, value));
                grow(1, key.length() + value.length());
            } else if (version >= held.version) {
                grow(0, value.length() - held.value.length());
                held.version = version;
                held.value = value;
            }
        }

        @Override
        void emitAll() {
            List<String> lines = new ArrayList<>(Math.min(newest.size(), MAX_VALUES_IN_A_ROW));
            for (Versioned each : newest.values()) {
                lines.add(each.value);
                if (lines.size() == MAX_VALUES_IN_A_ROW) {
                    emitLines(lines);
                    lines.clear();
                }
            }
            if (!lines.isEmpty()) {
                emitLines(lines);
            }
        }

        private void emitLines(List<String> lines) {
            emit(Row.of(lines.size(), String.join("\n", lines)), lines.size());
        }
    }

    private static final class Versioned {

        private long version;
        private String value;

        Versioned(long version, String value) {
            this.version = version;
            this.value = value;
        }
    }

    private static final class Append extends MicroBatch {

        private static final long serialVersionUID = 1L;
        private static final int VALUE = 1;

        private transient Map<String, List<String>> byKey;
        private transient Watermark heldBack;

        Append(long intervalMs, int maxRows, long maxChars) {
            super(intervalMs, maxRows, maxChars);
        }

        @Override
        void clear() {
            super.clear();
            byKey = new LinkedHashMap<>();
        }

        @Override
        void add(Row row) {
            String key = (String) row.getField(KEY);
            String value = (String) row.getField(VALUE);
            byKey.computeIfAbsent(key, k -> new ArrayList<>()).add(value);
            grow(1, key.length() + value.length());
        }

        @Override
        void emitAll() {
            byKey.forEach((key, lines) -> emit(Row.of(key, String.join("\n", lines)), lines.size()));
        }

        @Override
        public void processWatermark(Watermark mark) throws Exception {
            if (mark.equals(Watermark.MAX_WATERMARK)) {
                return;
            }
            heldBack = mark;
            if (isEmpty()) {
                afterFlush();
            }
        }

        /** An input that has nothing more to say of time first says what it has. */
        @Override
        public void processWatermarkStatus(WatermarkStatus status) throws Exception {
            flush();
            super.processWatermarkStatus(status);
        }

        @Override
        void afterFlush() throws Exception {
            if (heldBack != null) {
                super.processWatermark(heldBack);
                heldBack = null;
            }
        }
    }
}
