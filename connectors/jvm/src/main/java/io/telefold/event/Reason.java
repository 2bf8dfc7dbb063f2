package io.telefold.event;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/** Why a record is in the dead-letter stream: the twin of {@code schemas/errors.py}, to the letter. */
public enum Reason {
    EMPTY_RECORD,
    BAD_HEADER,
    UNKNOWN_FINGERPRINT,
    TRUNCATED_BODY,
    MALFORMED_BODY,
    EMPTY_ID,
    ID_TOO_LONG,
    TYPE_TOO_LONG,
    CORRELATION_ID_TOO_LONG,
    TOO_MANY_METRICS,
    BAD_METRIC_NAME,
    BAD_METRIC_VALUE,
    TOO_MANY_ATTRIBUTES,
    BAD_ATTRIBUTE_NAME,
    ATTRIBUTE_TOO_LONG,
    BAD_ACKNOWLEDGEMENT,
    TIME_TOO_OLD,
    TIME_IN_FUTURE,
    TOO_LATE,
    TOO_MANY_NAMES;

    /** Those that are wrong by themselves, whatever came before. */
    public static final Set<Reason> OF_RECORDS = EnumSet.complementOf(EnumSet.of(TOO_LATE, TOO_MANY_NAMES));

    private final String text = name().toLowerCase(Locale.ROOT);

    /** As it stands in events and dead letters. */
    @Override
    public String toString() {
        return text;
    }

    /** The counter of such records: {@code rejectedBadHeader}. */
    public String metric() {
        return Arrays.stream(text.split("_"))
                .map(word -> Character.toUpperCase(word.charAt(0)) + word.substring(1))
                .collect(Collectors.joining("", "rejected", ""));
    }
}
