package io.telefold.view;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.NumberOutput;

/** Something folded of which a view row is made. */
public abstract class RowValues {

    /** So many versions a time has: the readings of a metric at one time are counted up to one less. */
    public static final long VERSIONS_A_TIME = 1 << 20;

    /** Whether a row is due. It is not kept in state: rows are written before every checkpoint. */
    public boolean changed;

    /** Throws IllegalArgumentException for a value that this does not have. */
    protected abstract long whole(RowValue value);

    /** Finite; throws IllegalArgumentException for a value that this does not have. */
    protected abstract double amount(RowValue value);

    /**
     * Appends a value as JSON: an amount in the fewest digits that are read as it, to which Java's own way takes several
     * times as long.
     */
    final void append(RowValue value, StringBuilder out) {
        if (value.isWhole) {
            out.append(whole(value));
        } else {
            out.append(NumberOutput.toString(amount(value), true));
        }
    }
}
