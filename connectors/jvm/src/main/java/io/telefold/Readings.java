package io.telefold;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What the readings of one metric in one window add up to. */
final class Readings extends RowValues {

    private long count;
    private double sum;
    private double min = Double.POSITIVE_INFINITY;
    private double max = Double.NEGATIVE_INFINITY;
    private double sumOfSquares;
    private long firstAt = Long.MAX_VALUE;
    private long lastAt = Long.MIN_VALUE;

    void add(long eventTime, double value) {
        count++;
        sum += value;
        sumOfSquares += value * value;
        min = Math.min(min, value);
        max = Math.max(max, value);
        firstAt = Math.min(firstAt, eventTime);
        lastAt = Math.max(lastAt, eventTime);
    }

    @Override
    void append(RowValue value, StringBuilder out) {
        switch (value) {
            case COUNT:
                out.append(count);
                break;
            case SUM:
                out.append(sum);
                break;
            case MIN:
                out.append(min);
                break;
            case MAX:
                out.append(max);
                break;
            case SUM_SQ:
                out.append(sumOfSquares);
                break;
            case FIRST_AT:
                out.append(firstAt);
                break;
            case LAST_AT:
                out.append(lastAt);
                break;
            default:
                throw new IllegalArgumentException("a rollup has no " + value);
        }
    }

    /** A single reading, which is all there is in most windows of a large and slow fleet, takes 17 bytes of 57. */
    void write(DataOutputView out) throws IOException {
        out.writeBoolean(count == 1);
        if (count == 1) {
            out.writeLong(firstAt);
            out.writeDouble(sum);
            return;
        }
        out.writeLong(count);
        out.writeDouble(sum);
        out.writeDouble(min);
        out.writeDouble(max);
        out.writeDouble(sumOfSquares);
        out.writeLong(firstAt);
        out.writeLong(lastAt);
    }

    static Readings read(DataInputView in) throws IOException {
        Readings readings = new Readings();
        if (in.readBoolean()) {
            readings.add(in.readLong(), in.readDouble());
            return readings;
        }
        readings.count = in.readLong();
        readings.sum = in.readDouble();
        readings.min = in.readDouble();
        readings.max = in.readDouble();
        readings.sumOfSquares = in.readDouble();
        readings.firstAt = in.readLong();
        readings.lastAt = in.readLong();
        return readings;
    }
}
