package io.telefold;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * The newest reading of one metric: of equal times the one of the higher sequence, and of equal sequences the one whose
 * event_id is greater by code points, as Python and UTF-8 order texts.
 */
final class Latest extends RowValues {

    /** So many versions a time has: the readings of a metric at one time are counted up to one less. */
    private static final int VERSIONS_A_TIME = 1 << 20;

    private long at = Long.MIN_VALUE;
    private long sequence;
    private String eventId = "";
    private double value;

    /** How many readings were folded whose time is {@link #at}. */
    private int readings;

    /** Returns whether the row changes, be it that one reading more is known to be older. */
    boolean offer(long eventTime, long eventSequence, String itsEventId, double reading) {
        if (eventTime < at) {
            return false;
        }
        readings = eventTime > at ? 1 : Math.min(readings + 1, VERSIONS_A_TIME - 1);
        if (eventTime > at || wins(eventSequence, itsEventId)) {
            at = eventTime;
            sequence = eventSequence;
            eventId = itsEventId;
            value = reading;
        }
        return true;
    }

    private boolean wins(long eventSequence, String itsEventId) {
        return eventSequence > sequence
                || eventSequence == sequence && Texts.compareByCodePoints(itsEventId, eventId) > 0;
    }

    long at() {
        return at;
    }

    String eventId() {
        return eventId;
    }

    @Override
    void append(RowValue wanted, StringBuilder out) {
        switch (wanted) {
            case VALUE:
                out.append(value);
                break;
            case AT:
                out.append(at);
                break;
            case AT_AND_READINGS:
                out.append(at * VERSIONS_A_TIME + readings);
                break;
            default:
                throw new IllegalArgumentException("a latest reading has no " + wanted);
        }
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
