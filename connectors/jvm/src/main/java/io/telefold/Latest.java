package io.telefold;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** The newest reading of one metric: of equal times the one of the higher sequence, and then the greater one. */
final class Latest extends RowValues {

    private long at = Long.MIN_VALUE;
    private long sequence;
    private double value;

    /** Returns whether the reading is the newest now. */
    boolean offer(long eventTime, long eventSequence, double reading) {
        if (eventTime < at || eventTime == at && !wins(eventSequence, reading)) {
            return false;
        }
        at = eventTime;
        sequence = eventSequence;
        value = reading;
        return true;
    }

    private boolean wins(long eventSequence, double reading) {
        return eventSequence > sequence || eventSequence == sequence && reading > value;
    }

    long at() {
        return at;
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
            default:
                throw new IllegalArgumentException("a latest reading has no " + wanted);
        }
    }

    void write(DataOutputView out) throws IOException {
        out.writeLong(at);
        out.writeLong(sequence);
        out.writeDouble(value);
    }

    static Latest read(DataInputView in) throws IOException {
        Latest latest = new Latest();
        latest.at = in.readLong();
        latest.sequence = in.readLong();
        latest.value = in.readDouble();
        return latest;
    }
}
