package io.telefold.groups;

import io.telefold.Metrics;
import io.telefold.Texts;
import io.telefold.batch.HoldingOperator;
import io.telefold.view.Destination;
import io.telefold.view.DeviceViews;
import io.telefold.view.RowLines;
import io.telefold.view.Totals;
import io.telefold.view.WindowSize;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.types.Row;

/**
 * Merges what the tasks have of each group, as {@link GroupCombine} emits it, into the group's rollups. Keyed by {@link
 * #key}; emits {@code RowLines.batchType}, for the fast store, and so for {@code DueRows}.
 *
 * <p>The windows of a metric of a group that began on one day are kept together, until the time of the log has come to where
 * the rows of the last of them end. Whatever arrives from then on for one of them was left out before, so that no row
 * begins anew over what is known of its window. The wall clock has no say.
 */
public final class GroupRollups extends HoldingOperator<Row> implements Triggerable<String, VoidNamespace> {

    private static final long serialVersionUID = 1L;
    private static final long DAY_MS = 86_400_000;

    private final DeviceViews views;
    private final long keptMs;
    private final int maxRows;

    private transient Map<String, Integer> sizes;
    private transient MapState<Long, byte[]> windows;
    private transient InternalTimerService<VoidNamespace> timers;
    private transient RowLines lines;
    private transient Counter begun;
    private transient Counter ended;

    /** What changed since the last flush, by key and start. */
    private transient Map<String, Map<Long, Totals>> changed;

    private transient int rows;

    /** Rows of {@code views} end {@code keptMs} after the longest that their window can be. */
    public GroupRollups(DeviceViews views, long keptMs, long intervalMs, int maxRows) {
        super(intervalMs);
        this.views = views;
        this.keptMs = keptMs;
        this.maxRows = maxRows;
    }

    /** By what its input is to be keyed. */
    public static KeySelector<Row, String> key() {
        return new PartialRow.Key();
    }

    /** Of the windows that are kept together with the one that begins at {@code start}. */
    static long block(WindowSize size, long start) {
        return Math.floorDiv(start, blockMs(size));
    }

    private static long blockMs(WindowSize size) {
        return Math.max(size.longestMs, DAY_MS);
    }

    @Override
    public void open() throws Exception {
        windows = getRuntimeContext()
                .getMapState(new MapStateDescriptor<>(
                        "windows", Types.LONG, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        timers = getInternalTimerService("ends", VoidNamespaceSerializer.INSTANCE, this);
        sizes = new HashMap<>();
        for (int size = 0; size < views.sizes(); size++) {
            sizes.put(views.windows[size].name, size);
        }
        lines = new RowLines((count, text) -> emit(Row.of(count, text), count));
        MetricGroup metrics = Metrics.of(getMetricGroup());
        begun = metrics.counter("groupRowsBegun");
        ended = metrics.counter("groupRowsEnded");
        super.open();
    }

    @Override
    protected void clear() {
        changed = new HashMap<>();
        rows = 0;
    }

    @Override
    protected boolean isEmpty() {
        return rows == 0;
    }

    @Override
    protected boolean isFull() {
        return rows >= maxRows;
    }

    @Override
    protected void add(Row partial) throws Exception {
        String key = PartialRow.key(partial);
        long start = PartialRow.start(partial);
        Map<Long, Totals> ofKey = changed.computeIfAbsent(key, name -> new HashMap<>());
        Totals held = ofKey.get(start);
        if (held == null) {
            held = stored(key, start);
            ofKey.put(start, held);
            rows++;
        }
        held.merge(PartialRow.totals(partial));
        held.changed = true;
    }

    private Totals stored(String key, long start) throws Exception {
        byte[] stored = windows.get(start);
        if (stored != null) {
            return Totals.of(stored);
        }
        begun.inc();
        WindowSize size = views.windows[sizes.get(PartialRow.parts(key)[0])];
        long blockEnd = (block(size, start) + 1) * blockMs(size);
        timers.registerEventTimeTimer(VoidNamespace.INSTANCE, blockEnd + size.longestMs + keptMs);
        return new Totals();
    }

    @Override
    protected void emitAll() throws Exception {
        for (Map.Entry<String, Map<Long, Totals>> ofKey : changed.entrySet()) {
            setCurrentKey(ofKey.getKey());
            String[] parts = PartialRow.parts(ofKey.getKey());
            int size = sizes.get(parts[0]);
            String quotedGroup = Texts.quoted(parts[3]);
            for (Map.Entry<Long, Totals> each : ofKey.getValue().entrySet()) {
                long start = each.getKey();
                windows.put(start, each.getValue().totalsToBytes());
                lines.appendIfChanged(
                        views.rollups[size],
                        quotedGroup,
                        parts[1],
                        "#" + lines.isoTime(start),
                        each.getValue(),
                        start + views.windows[size].longestMs,
                        Destination.FAST);
            }
        }
        lines.emit();
    }

    /** Nothing of the key is due, as watermarks wait for flushes. */
    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        for (Long start : windows.keys()) {
            ended.inc();
        }
        windows.clear();
    }

    /** Never called: there are no timers in processing time but the flush's, which is not a key's. */
    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) {}
}
