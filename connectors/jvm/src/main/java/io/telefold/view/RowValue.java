package io.telefold.view;

import java.util.Locale;

/** What a fold can put into a view row. Times are epoch milliseconds. */
public enum RowValue {
    COUNT,
    SUM,
    MIN,
    MAX,
    M2,
    FIRST_AT,
    FIRST,
    LAST_AT,
    LAST,
    INCREASE,
    VALUE,
    AT,
    /** Grows with the newest time, and at one time with each reading. */
    AT_AND_READINGS;

    static RowValue of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }
}
