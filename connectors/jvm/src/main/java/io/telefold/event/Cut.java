package io.telefold.event;

import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.FilterFunction;

/** Where the part of the log ends that a generation of views was built from: positions, shard by shard, inclusive. */
public final class Cut implements Serializable {

    private static final long serialVersionUID = 1L;
    private static final Cut NOWHERE = new Cut(new HashMap<>());

    private final HashMap<String, String> positions;

    private Cut(HashMap<String, String> positions) {
        this.positions = positions;
    }

    /** Before the first record of every shard. */
    public static Cut nowhere() {
        return NOWHERE;
    }

    /** Takes the position of the last record of each shard that has one. */
    public static Cut of(Map<String, String> positions) {
        return new Cut(new HashMap<>(positions));
    }

    /** Whether a {@link Event} lies within the cut. */
    public boolean holds(Event event) {
        if (positions.isEmpty()) {
            return false;
        }
        String last = positions.get(event.shard);
        return last != null && !SequenceOrder.isAfter(event.position(), last);
    }

    /** Keeps the events beyond the cut. */
    public FilterFunction<Event> beyond() {
        return event -> !holds(event);
    }
}
