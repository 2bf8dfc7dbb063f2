package io.telefold.view;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/**
 * What readings of one metric in one window add up to, whoever sent them and in whatever order they come; only the last
 * digits of its sums depend on the order.
 */
public class Totals extends RowValues {

    private static final int INITIAL_BYTES = 64;

    public long count;
    public double sum;
    public double min = Double.POSITIVE_INFINITY;
    public double max = Double.NEGATIVE_INFINITY;

    /** The sum of the squared deviations from the mean. */
    public double m2;

    public long firstAt = Long.MAX_VALUE;
    public long lastAt = Long.MIN_VALUE;

    /** How much the counters rose, as {@code Latest.increaseTo} says. */
    public double increase;

    /** Deviations are taken one by one (Youngs and Cramer), as differences of large sums of squares would cancel. */
    public final void add(long eventTime, double value, double increased) {
        count++;
        sum += value;
        if (count > 1) {
            double deviation = count * value - sum;
            m2 += deviation * deviation / ((double) count * (count - 1));
        }
        min = Math.min(min, value);
        max = Math.max(max, value);
        firstAt = Math.min(firstAt, eventTime);
        lastAt = Math.max(lastAt, eventTime);
        increase += increased;
    }

    /** As if the readings of {@code other} had been added (Chan, Golub and LeVeque). */
    public final void merge(Totals other) {
        if (count == 0) {
            m2 = other.m2;
        } else if (other.count > 0) {
            double apart = other.sum / other.count - sum / count;
            m2 += other.m2 + apart * apart * ((double) count * other.count / (count + other.count));
        }
        count += other.count;
        sum += other.sum;
        min = Math.min(min, other.min);
        max = Math.max(max, other.max);
        firstAt = Math.min(firstAt, other.firstAt);
        lastAt = Math.max(lastAt, other.lastAt);
        increase += other.increase;
    }

    @Override
    protected final long whole(RowValue value) {
        switch (value) {
            case COUNT:
                return count;
            case FIRST_AT:
                return firstAt;
            case LAST_AT:
                return lastAt;
            default:
                throw new IllegalArgumentException("a rollup has no " + value);
        }
    }

    @Override
    protected double amount(RowValue value) {
        switch (value) {
            case SUM:
                return sum;
            case MIN:
                return min;
            case MAX:
                return max;
            case M2:
                return m2;
            case INCREASE:
                return increase;
            default:
                throw new IllegalArgumentException("a rollup has no " + value);
        }
    }

    /** But for the count and the times. */
    protected final void writeAmounts(DataOutputView out) throws IOException {
        out.writeDouble(sum);
        out.writeDouble(min);
        out.writeDouble(max);
        out.writeDouble(m2);
    }

    protected final void readAmounts(DataInputView in) throws IOException {
        sum = in.readDouble();
        min = in.readDouble();
        max = in.readDouble();
        m2 = in.readDouble();
    }

    public final byte[] totalsToBytes() throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(INITIAL_BYTES);
        out.writeLong(count);
        writeAmounts(out);
        out.writeLong(firstAt);
        out.writeLong(lastAt);
        out.writeDouble(increase);
        return out.getCopyOfBuffer();
    }

    /** Takes what {@link #totalsToBytes} returned. */
    public static Totals of(byte[] bytes) throws IOException {
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        Totals totals = new Totals();
        totals.count = in.readLong();
        totals.readAmounts(in);
        totals.firstAt = in.readLong();
        totals.lastAt = in.readLong();
        totals.increase = in.readDouble();
        return totals;
    }
}
