package io.telefold;

import java.util.Locale;

/** Why a record is in the dead-letter stream: the twin of {@code schemas/errors.py}, to the letter. */
enum Reason {
    EMPTY_RECORD,
    BAD_HEADER,
    UNKNOWN_FINGERPRINT,
    TRUNCATED_BODY,
    MALFORMED_BODY,
    EMPTY_ID,
    ID_TOO_LONG,
    TOO_MANY_METRICS,
    BAD_METRIC_NAME,
    BAD_METRIC_VALUE,
    TIME_TOO_OLD,
    TIME_IN_FUTURE,
    TOO_LATE;

    private final String text = name().toLowerCase(Locale.ROOT);

    /** As it stands in rows and dead letters. */
    @Override
    public String toString() {
        return text;
    }
}
