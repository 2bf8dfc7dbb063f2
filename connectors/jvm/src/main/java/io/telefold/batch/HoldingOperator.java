package io.telefold.batch;

import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;

/**
 * A {@link FlushingOperator} whose watermarks wait for the rows before them, its own timers too. The one that ends all time
 * stays here, since a log that ends does not.
 */
public abstract class HoldingOperator<IN> extends FlushingOperator<IN> {

    private static final long serialVersionUID = 1L;

    private transient Watermark heldBack;

    protected HoldingOperator(long intervalMs) {
        super(intervalMs);
    }

    @Override
    public final void processWatermark(Watermark mark) throws Exception {
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
    public final void processWatermarkStatus(WatermarkStatus status) throws Exception {
        flush();
        super.processWatermarkStatus(status);
    }

    @Override
    protected final void afterFlush() throws Exception {
        if (heldBack != null) {
            super.processWatermark(heldBack);
            heldBack = null;
        }
    }
}
