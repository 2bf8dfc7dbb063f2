package io.telefold.batch;

import io.telefold.Metrics;
import java.util.concurrent.ScheduledFuture;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Holds rows back to send fewer of them on. It sends what it holds on every interval of processing time, when it is
 * full, before each checkpoint barrier and at the end of the input.
 *
 * <p>The buffer is no state: it is empty whenever a checkpoint passes, so that a checkpoint covers a row only if all
 * operators downstream have it, and a restore replays every row that they do not.
 *
 * <p>Rows leave without timestamps and may leave after a watermark that was behind them: do not measure event time
 * downstream. Everything runs in the task's mailbox thread, the timer too.
 */
public abstract class FlushingOperator<IN> extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<IN, Row>, ProcessingTimeCallback {

    private static final long serialVersionUID = 1L;

    private final long intervalMs;
    private transient ScheduledFuture<?> timer;
    private transient Counter rowsOut;
    private transient Counter flushes;
    private transient Counter flushMsTotal;
    private transient volatile long flushRows;
    private transient volatile long flushMs;

    protected FlushingOperator(long intervalMs) {
        if (intervalMs <= 0) {
            throw new IllegalArgumentException("the flush interval must be at least 1 ms, not " + intervalMs);
        }
        this.intervalMs = intervalMs;
    }

    protected abstract void clear();

    protected abstract void add(IN value) throws Exception;

    protected abstract boolean isEmpty();

    protected abstract boolean isFull();

    /** Emits all rows held; {@link #clear} follows. */
    protected abstract void emitAll() throws Exception;

    /** Called before the last flush, after which the job is over: the time to let go of what is in state as well. */
    protected void beforeEnd() throws Exception {}

    /** Called when all rows held are on their way. */
    protected void afterFlush() throws Exception {}

    @Override
    public void open() throws Exception {
        super.open();
        MetricGroup metrics = Metrics.of(getMetricGroup());
        rowsOut = metrics.counter("rowsOut");
        flushes = metrics.counter("flushes");
        flushMsTotal = metrics.counter("flushMsTotal");
        metrics.gauge("flushRows", () -> flushRows);
        metrics.gauge("flushMs", () -> flushMs);
        clear();
        long now = getProcessingTimeService().getCurrentProcessingTime();
        armTimer(now - Math.floorMod(now, intervalMs) + intervalMs);
    }

    @Override
    public final void processElement(StreamRecord<IN> element) throws Exception {
        add(element.getValue());
        flushIfFull();
    }

    /** To be called wherever else the operator may have come to hold more. */
    protected final void flushIfFull() throws Exception {
        if (isFull()) {
            flush();
        }
    }

    @Override
    public final void onProcessingTime(long timestamp) throws Exception {
        flush();
        armTimer(timestamp + intervalMs);
    }

    @Override
    public final void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        if (Stopping.isBy(checkpointId, getContainingTask())) {
            beforeEnd();
        }
        flush();
    }

    @Override
    public void finish() throws Exception {
        beforeEnd();
        flush();
        timer.cancel(false);
        super.finish();
    }

    @Override
    public void close() throws Exception {
        if (timer != null) {
            timer.cancel(false);
        }
        super.close();
    }

    /** Sends on a row that stands for {@code rows} of those held. */
    protected final void emit(Row row, int rows) {
        rowsOut.inc(rows);
        output.collect(new StreamRecord<>(row));
    }

    /** Sends on what is held, if anything is. */
    final void flush() throws Exception {
        if (!isEmpty()) {
            long before = rowsOut.getCount();
            long began = System.nanoTime();
            emitAll();
            clear();
            flushed(rowsOut.getCount() - before, (System.nanoTime() - began) / 1_000_000);
            afterFlush();
        }
    }

    private void flushed(long rows, long ms) {
        flushes.inc();
        flushMsTotal.inc(ms);
        flushRows = rows;
        flushMs = ms;
    }

    /** After a flush that took longer than the interval the next comes soon, once waiting rows had time to come in. */
    private void armTimer(long wanted) {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        timer = getProcessingTimeService().registerTimer(Math.max(wanted, now + intervalMs / 8), this);
    }
}
