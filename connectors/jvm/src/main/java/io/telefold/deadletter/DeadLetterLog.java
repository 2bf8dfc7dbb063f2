package io.telefold.deadletter;

import io.telefold.Texts;
import io.telefold.event.Event;
import java.util.HashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says in the log which records became dead letters: one of each reason a minute, so that a stream of poison does not
 * fill it. Like every line of ours this one ends with what can be searched for, as {@code key=value}; its id is that of
 * {@code telefold dead-letters show}.
 */
final class DeadLetterLog {

    private static final Logger LOG = LoggerFactory.getLogger(DeadLetters.class);
    private static final long QUIET_MS = 60_000;

    private final Map<String, Long> quietUntil = new HashMap<>();
    private final Map<String, Integer> unsaid = new HashMap<>();

    /** Says that {@code event} is rejected, or at {@code now} (any clock's milliseconds) only counts it. */
    void rejected(Event event, long now) {
        String line = line(event, now);
        if (line != null) {
            LOG.warn(line);
        }
    }

    /** Null if one of the same reason was said less than a minute ago. */
    String line(Event event, long now) {
        String reason = event.reason;
        if (now < quietUntil.getOrDefault(reason, Long.MIN_VALUE)) {
            unsaid.merge(reason, 1, Integer::sum);
            return null;
        }
        quietUntil.put(reason, now + QUIET_MS);
        Integer others = unsaid.remove(reason);
        String correlationId = DeadLetters.correlationId(event);
        return "dead letter: " + event.detail
                + " reason=" + reason
                + " id=" + event.shard + ":" + event.position()
                + " device=\"" + Texts.quoted(event.partitionKey) + "\""
                + (correlationId == null ? "" : " correlation_id=\"" + Texts.quoted(correlationId) + "\"")
                + (others == null ? "" : " unsaid=" + others);
    }
}
