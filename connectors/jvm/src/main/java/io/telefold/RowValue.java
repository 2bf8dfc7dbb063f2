package io.telefold;

import java.util.Locale;

/** What a fold can put into a view row. Times are epoch milliseconds. */
enum RowValue {
    COUNT,
    SUM,
    MIN,
    MAX,
    SUM_SQ,
    FIRST_AT,
    LAST_AT,
    VALUE,
    AT,
    /** Grows with the newest time, and at one time with each reading. */
    AT_AND_READINGS;

    static RowValue of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }
}
