package io.telefold.view;

import java.util.Locale;

/** What a fold can put into a view row. Times are epoch milliseconds. */
public enum RowValue {
    COUNT(true),
    SUM(false),
    MIN(false),
    MAX(false),
    M2(false),
    FIRST_AT(true),
    FIRST(false),
    LAST_AT(true),
    LAST(false),
    INCREASE(false),
    VALUE(false),
    AT(true),
    /** Grows with the newest time, and at one time with each reading. */
    AT_AND_READINGS(true);

    final boolean isWhole;

    RowValue(boolean isWhole) {
        this.isWhole = isWhole;
    }

    static RowValue of(String name) {
        return valueOf(name.toUpperCase(Locale.ROOT));
    }
}
