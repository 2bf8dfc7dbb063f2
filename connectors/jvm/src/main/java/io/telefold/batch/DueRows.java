package io.telefold.batch;

import io.telefold.Metrics;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.types.Row;

/**
 * Keeps what the durable store is to be given when it is due, and joins lines to batches: it takes {@link #type}, keyed by
 * its first field, of which {@link #split} makes batches of lines, and emits batches again.
 *
 * <p>A line that ends by saying that it is for the fast store goes there; the newest of its row goes to the durable one,
 * too, once it is due, {@code durableMs} later at the latest. All other lines are for both stores at once, and all are
 * if {@code durableMs} is 0. What is due is in state: a job that fails finds it again, and one that is stopped leaves none.
 */
public final class DueRows extends FlushingOperator<Row> implements Triggerable<String, VoidNamespace> {

    private static final long serialVersionUID = 1L;
    private static final JsonFactory JSON = new JsonFactory();
    private static final String FOR_THE_FAST_STORE = ",\"to\":\"fast\"}";
    private static final String FOR_THE_DURABLE_STORE = ",\"to\":\"durable\"}";
    private static final int KEY = 0;
    private static final int LINE = 1;
    private static final int LINES_OF_A_BATCH = 1;

    private final long durableMs;
    private final int maxRows;
    private final int maxChars;

    private transient ValueState<String> owed;
    private transient InternalTimerService<VoidNamespace> timers;

    /** The newest line for the fast store of each key since the last flush. */
    private transient Map<String, String> newest;

    /** All lines besides. */
    private transient StringBuilder lines;

    private transient int rows;
    private transient int chars;
    private transient long lateMs;
    private transient volatile long durableLateMs;

    /** Flushes every {@code intervalMs}, and at {@code maxRows} lines or {@code maxChars} characters. */
    public DueRows(long durableMs, long intervalMs, int maxRows, int maxChars) {
        super(intervalMs);
        this.durableMs = durableMs;
        this.maxRows = maxRows;
        this.maxChars = maxChars;
    }

    /** (key STRING, line STRING): a row, and by what it is told from others. */
    public static RowTypeInfo type() {
        return new RowTypeInfo(new TypeInformation<?>[] {Types.STRING, Types.STRING}, new String[] {"key", "line"});
    }

    /** By what its input is to be keyed. */
    public static KeySelector<Row, String> key() {
        return new Key();
    }

    private static final class Key implements KeySelector<Row, String> {

        private static final long serialVersionUID = 1L;

        @Override
        public String getKey(Row row) {
            return (String) row.getField(KEY);
        }
    }

    /** Batches of lines, as {@code RowLines.batchType}, to single ones. */
    public static FlatMapFunction<Row, Row> split() {
        return (batch, out) -> {
            for (String line : ((String) batch.getField(LINES_OF_A_BATCH)).split("\n")) {
                out.collect(Row.of(keyOf(line), line));
            }
        };
    }

    private static String keyOf(String line) throws IOException {
        String partition = "";
        String sort = "";
        try (JsonParser parser = JSON.createParser(line)) {
            parser.nextToken();
            for (String field = parser.nextFieldName(); field != null; field = parser.nextFieldName()) {
                parser.nextToken();
                if (field.equals("partition")) {
                    partition = parser.getText();
                } else if (field.equals("sort")) {
                    sort = parser.getText();
                    break;
                } else {
                    parser.skipChildren();
                }
            }
        }
        return partition.length() + partition + sort;
    }

    @Override
    public void open() throws Exception {
        owed = getRuntimeContext().getState(new ValueStateDescriptor<>("owed", Types.STRING));
        timers = getInternalTimerService("due", VoidNamespaceSerializer.INSTANCE, this);
        super.open();
        Metrics.of(getMetricGroup()).gauge("durableLateMs", () -> durableLateMs);
    }

    @Override
    protected void clear() {
        newest = new LinkedHashMap<>();
        lines = new StringBuilder();
        rows = 0;
        chars = 0;
        durableLateMs = lateMs;
        lateMs = 0;
    }

    @Override
    protected void add(Row row) {
        String line = (String) row.getField(LINE);
        String key = (String) row.getField(KEY);
        chars += line.length();
        if (line.endsWith(FOR_THE_FAST_STORE)) {
            newest.put(key, line);
            return;
        }
        // Each of these counts, as what has changed in an alert is told. None of before is due any more.
        append(line);
        newest.remove(key);
        if (durableMs > 0) {
            owed.clear();
        }
    }

    @Override
    protected boolean isEmpty() {
        return newest.isEmpty() && rows == 0;
    }

    @Override
    protected boolean isFull() {
        return newest.size() + rows >= maxRows || chars >= maxChars;
    }

    @Override
    protected void emitAll() throws Exception {
        for (Map.Entry<String, String> each : newest.entrySet()) {
            if (durableMs > 0) {
                owe(each.getKey(), each.getValue());
                append(each.getValue());
            } else {
                append(withoutEnd(each.getValue()) + "}");
            }
        }
        emit(Row.of(rows, lines.toString()), rows);
    }

    private void owe(String key, String line) throws Exception {
        setCurrentKey(key);
        owed.update(line);
        long now = getProcessingTimeService().getCurrentProcessingTime();
        timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, DueTimes.next(key, now, durableMs));
    }

    private void append(String line) {
        if (rows > 0) {
            lines.append('\n');
        }
        lines.append(line);
        rows++;
    }

    private static String withoutEnd(String line) {
        return line.substring(0, line.length() - FOR_THE_FAST_STORE.length());
    }

    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        lateMs = Math.max(lateMs, now - timer.getTimestamp());
        appendOwed();
        flushIfFull();
    }

    /** What is due of the current key, if anything still is. */
    private void appendOwed() throws Exception {
        String line = owed.value();
        if (line != null) {
            append(withoutEnd(line) + FOR_THE_DURABLE_STORE);
            chars += line.length();
            owed.clear();
        }
    }

    /** Whatever is due some time, is now, what is yet to be flushed as well. */
    @Override
    protected void beforeEnd() throws Exception {
        flush();
        List<String> keys = new ArrayList<>();
        timers.forEachProcessingTimeTimer((namespace, at) -> keys.add((String) getCurrentKey()));
        for (String key : keys) {
            setCurrentKey(key);
            appendOwed();
            flushIfFull();
        }
    }

    /** Never called: there are no timers of the log's time. */
    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) {}
}
