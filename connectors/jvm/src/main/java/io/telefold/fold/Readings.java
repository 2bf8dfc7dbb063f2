package io.telefold.fold;

import io.telefold.Texts;
import io.telefold.event.EventOrder;
import io.telefold.view.RowValue;
import io.telefold.view.Totals;
import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * What the readings of one metric of one device in one window add up to, and the first and the last of them: those that are
 * least and greatest in {@link EventOrder}.
 */
final class Readings extends Totals {

    private static final int SINGLE = 1;
    private static final int FIRST_ID_AS_BEFORE = 2;
    private static final int LAST_ID_AS_BEFORE = 4;
    private static final int NO_INCREASE = 8;

    private long firstSequence;
    private String firstId = "";
    private double first;
    private long lastSequence;
    private String lastId = "";
    private double last;

    void add(long eventTime, long sequence, String eventId, double value, double increased) {
        if (count == 0 || EventOrder.isBefore(eventTime, sequence, eventId, firstAt, firstSequence, firstId)) {
            firstSequence = sequence;
            firstId = eventId;
            first = value;
        }
        if (count == 0 || EventOrder.isBefore(lastAt, lastSequence, lastId, eventTime, sequence, eventId)) {
            lastSequence = sequence;
            lastId = eventId;
            last = value;
        }
        add(eventTime, value, increased);
    }

    @Override
    protected double amount(RowValue value) {
        switch (value) {
            case FIRST:
                return first;
            case LAST:
                return last;
            default:
                return super.amount(value);
        }
    }

    /**
     * A single reading, which is all there is in most windows of a large and slow fleet, takes about 20 bytes, as times are
     * written from {@code start} on, and ids only where they are not those of {@code before}, which was written before
     * this one: most metrics of a device come with one event. Null if there was none.
     */
    void write(DataOutputView out, long start, Readings before) throws IOException {
        boolean isSingle = count == 1;
        boolean firstIdAsBefore = before != null && firstId.equals(before.firstId);
        boolean lastIdAsBefore = before != null && lastId.equals(before.lastId);
        out.writeByte((isSingle ? SINGLE : 0)
                | (firstIdAsBefore ? FIRST_ID_AS_BEFORE : 0)
                | (lastIdAsBefore ? LAST_ID_AS_BEFORE : 0)
                | (increase == 0 ? NO_INCREASE : 0));
        if (increase != 0) {
            out.writeDouble(increase);
        }
        writeReading(out, firstAt - start, firstSequence, firstIdAsBefore ? null : firstId, first);
        if (!isSingle) {
            writeReading(out, lastAt - start, lastSequence, lastIdAsBefore ? null : lastId, last);
            Texts.writeNumber(count, out);
            writeAmounts(out);
        }
    }

    private static void writeReading(DataOutputView out, long sinceStart, long sequence, String eventId, double value)
            throws IOException {
        Texts.writeNumber(sinceStart, out);
        Texts.writeNumber(sequence << 1 ^ sequence >> 63, out);
        if (eventId != null) {
            Texts.write(eventId, out);
        }
        out.writeDouble(value);
    }

    /** Takes what {@link #write} wrote with the same {@code start} and {@code before}. */
    static Readings read(DataInputView in, long start, Readings before) throws IOException {
        Readings readings = new Readings();
        int flags = in.readByte();
        double increase = (flags & NO_INCREASE) != 0 ? 0 : in.readDouble();
        readings.firstAt = start + Texts.readNumber(in);
        readings.firstSequence = readSequence(in);
        readings.firstId = (flags & FIRST_ID_AS_BEFORE) != 0 ? before.firstId : Texts.read(in);
        readings.first = in.readDouble();
        if ((flags & SINGLE) != 0) {
            Readings single = new Readings();
            single.add(readings.firstAt, readings.firstSequence, readings.firstId, readings.first, increase);
            return single;
        }
        readings.lastAt = start + Texts.readNumber(in);
        readings.lastSequence = readSequence(in);
        readings.lastId = (flags & LAST_ID_AS_BEFORE) != 0 ? before.lastId : Texts.read(in);
        readings.last = in.readDouble();
        readings.count = Texts.readNumber(in);
        readings.readAmounts(in);
        readings.increase = increase;
        return readings;
    }

    private static long readSequence(DataInputView in) throws IOException {
        long zigzag = Texts.readNumber(in);
        return zigzag >>> 1 ^ -(zigzag & 1);
    }
}
