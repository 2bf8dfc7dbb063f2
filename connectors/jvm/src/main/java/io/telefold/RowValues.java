package io.telefold;

/** Something folded of which a view row is made. */
abstract class RowValues {

    /** Whether a row is due. It is not kept in state: rows are written before every checkpoint. */
    boolean changed;

    /** Appends a value as JSON; throws IllegalArgumentException for one that this does not have. */
    abstract void append(RowValue value, StringBuilder out);
}
