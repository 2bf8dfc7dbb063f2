package io.telefold.fold;

import io.telefold.Texts;
import io.telefold.event.EventOrder;
import io.telefold.view.RowValue;
import io.telefold.view.RowValues;
import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The newest reading of one metric: that of the event which is the greatest in {@link EventOrder}. */
final class Latest extends RowValues {

    private long at = Long.MIN_VALUE;
    private long sequence;
    private String eventId = "";
    private double value;

    /** How many readings were folded whose time is {@link #at}. */
    private int readings;

    /**
     * By how much a counter has risen that is at {@code reading} now: from what it was, or from 0 if it is less than that
     * and so was reset. A reading that is not the newest says nothing, and neither does the first.
     */
    double increaseTo(long eventTime, long eventSequence, String itsEventId, double reading) {
        if (at == Long.MIN_VALUE || !isOlderThan(eventTime, eventSequence, itsEventId)) {
            return 0;
        }
        return reading >= value ? reading - value : reading;
    }

    /** Returns whether the row changes, be it that one reading more is known to be older. */
    boolean offer(long eventTime, long eventSequence, String itsEventId, double reading) {
        if (eventTime < at) {
            return false;
        }
        readings = eventTime > at ? 1 : (int) Math.min(readings + 1, VERSIONS_A_TIME - 1);
        if (isOlderThan(eventTime, eventSequence, itsEventId)) {
            at = eventTime;
            sequence = eventSequence;
            eventId = itsEventId;
            value = reading;
        }
        return true;
    }

    private boolean isOlderThan(long eventTime, long eventSequence, String itsEventId) {
        return EventOrder.isBefore(at, sequence, eventId, eventTime, eventSequence, itsEventId);
    }

    long at() {
        return at;
    }

    String eventId() {
        return eventId;
    }

    @Override
    protected long whole(RowValue wanted) {
        switch (wanted) {
            case AT:
                return at;
            case AT_AND_READINGS:
                return at * VERSIONS_A_TIME + readings;
            default:
                throw new IllegalArgumentException("a latest reading has no " + wanted);
        }
    }

    @Override
    protected double amount(RowValue wanted) {
        if (wanted == RowValue.VALUE) {
            return value;
        }
        throw new IllegalArgumentException("a latest reading has no " + wanted);
    }

    /** Most metrics of a device come with one event, so an id that is {@code idBefore} is not written again. */
    void write(DataOutputView out, String idBefore) throws IOException {
        out.writeLong(at);
        out.writeLong(sequence);
        out.writeDouble(value);
        Texts.writeLength(readings, out);
        out.writeBoolean(eventId.equals(idBefore));
        if (!eventId.equals(idBefore)) {
            Texts.write(eventId, out);
        }
    }

    /** Takes what {@link #write} wrote with the same {@code idBefore}. */
    static Latest read(DataInputView in, String idBefore) throws IOException {
        Latest latest = new Latest();
        latest.at = in.readLong();
        latest.sequence = in.readLong();
        latest.value = in.readDouble();
        latest.readings = Texts.readLength(in);
        latest.eventId = in.readBoolean() ? idBefore : Texts.read(in);
        return latest;
    }
}
