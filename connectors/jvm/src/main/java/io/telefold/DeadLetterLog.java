package io.telefold;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.apache.flink.types.Row;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

/**
 * Says in the log which records became dead letters: one of each reason a minute, so that a stream of poison does not
 * fill it. What names the record stands in the line, as {@code telefold dead-letters show} takes it, and as fields.
 */
final class DeadLetterLog {

    private static final Logger LOG = LoggerFactory.getLogger(DeadLetters.class);
    private static final long QUIET_MS = 60_000;

    private final Map<String, Long> quietUntil = new HashMap<>();
    private final Map<String, Integer> unsaid = new HashMap<>();

    /** Says that {@code row} is rejected, or at {@code now} (any clock's milliseconds) only counts it. */
    void rejected(Row row, long now) {
        String line = line(row, now);
        if (line == null) {
            return;
        }
        fields(row).forEach(MDC::put);
        try {
            LOG.warn(line);
        } finally {
            fields(row).keySet().forEach(MDC::remove);
        }
    }

    /** Null if one of the same reason was said less than a minute ago. */
    String line(Row row, long now) {
        String reason = (String) row.getField(EventRow.REASON);
        if (now < quietUntil.getOrDefault(reason, Long.MIN_VALUE)) {
            unsaid.merge(reason, 1, Integer::sum);
            return null;
        }
        quietUntil.put(reason, now + QUIET_MS);
        Integer others = unsaid.remove(reason);
        return String.format(
                "dead letter %s:%s of %s, %s: %s%s",
                row.getField(EventRow.SHARD),
                row.getField(EventRow.SEQUENCE_NUMBER),
                row.getField(EventRow.PARTITION_KEY),
                reason,
                row.getField(EventRow.DETAIL),
                others == null ? "" : "; " + others + " others of this reason since the last such line");
    }

    static Map<String, String> fields(Row row) {
        Map<String, String> fields = new HashMap<>();
        fields.put("device", Objects.toString(row.getField(EventRow.PARTITION_KEY)));
        fields.put("reason", (String) row.getField(EventRow.REASON));
        if (row.getField(EventRow.CORRELATION_ID) != null) {
            fields.put("correlation_id", (String) row.getField(EventRow.CORRELATION_ID));
        }
        return fields;
    }
}
