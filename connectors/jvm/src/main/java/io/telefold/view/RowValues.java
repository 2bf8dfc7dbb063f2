package io.telefold.view;

/** Something folded of which a view row is made. */
public abstract class RowValues {

    /** Whether a row is due. It is not kept in state: rows are written before every checkpoint. */
    public boolean changed;

    /** Appends a value as JSON; throws IllegalArgumentException for one that this does not have. */
    protected abstract void append(RowValue value, StringBuilder out);
}
