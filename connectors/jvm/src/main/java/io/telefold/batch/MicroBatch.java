package io.telefold.batch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;

/**
 * Turns rows into batches, one string of lines for each key, because what crosses into Python costs by the row and not by
 * the byte. Values are JSON, which escapes the line feeds that its texts hold: none is inside a value. All values of a key
 * are kept, in order. Takes (key STRING, value STRING); emits {@link #appendType}.
 *
 * <p>Full with {@code maxRows} values or {@code maxChars} characters of keys and values; it then flushes at once, so
 * that back-pressure from downstream bounds its memory.
 */
public final class MicroBatch extends HoldingOperator<Row> {

    private static final long serialVersionUID = 1L;
    private static final int KEY = 0;
    private static final int VALUE = 1;

    private final int maxRows;
    private final long maxChars;
    private transient Map<String, List<String>> byKey;
    private transient int rows;
    private transient long chars;

    private MicroBatch(long intervalMs, int maxRows, long maxChars) {
        super(intervalMs);
        this.maxRows = maxRows;
        this.maxChars = maxChars;
    }

    public static MicroBatch append(long intervalMs, int maxRows, long maxChars) {
        return new MicroBatch(intervalMs, maxRows, maxChars);
    }

    /** (key STRING, values STRING): lines of one key. */
    public static RowTypeInfo appendType() {
        return new RowTypeInfo(new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"key", "values"});
    }

    @Override
    protected void clear() {
        byKey = new LinkedHashMap<>();
        rows = 0;
        chars = 0;
    }

    @Override
    protected void add(Row row) {
        String key = (String) row.getField(KEY);
        String value = (String) row.getField(VALUE);
        byKey.computeIfAbsent(key, k -> new ArrayList<>()).add(value);
        rows++;
        chars += key.length() + value.length();
    }

    @Override
    protected boolean isEmpty() {
        return rows == 0;
    }

    @Override
    protected boolean isFull() {
        return rows >= maxRows || chars >= maxChars;
    }

    @Override
    protected void emitAll() {
        byKey.forEach((key, lines) -> emit(Row.of(key, String.join("\n", lines)), lines.size()));
    }
}
