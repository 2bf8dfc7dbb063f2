package io.telefold.event;

import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * Makes one field of a record of an older version what it is in the current one, in place: {@code Rescaled} of {@code
 * schemas/upcasters.py}, which describes it as JSON.
 *
 * <p>A product beyond 64 bits becomes the end of their range on its side of zero, as it does in Python.
 */
final class Upcast {

    private final int position;
    private final long factor;
    private final long greatest;
    private final long least;

    private Upcast(int position, long factor) {
        if (factor < 1) {
            throw new IllegalArgumentException("A field is rescaled by a whole number of at least 1, not by " + factor);
        }
        this.position = position;
        this.factor = factor;
        this.greatest = Long.MAX_VALUE / factor;
        this.least = Long.MIN_VALUE / factor;
    }

    /** The steps of one {@code UpcastField}, in order, for records whose fields lie as in {@code resolved}. */
    static List<Upcast> of(JsonNode upcastField, Schema resolved) {
        int position = resolved.getField(upcastField.get("read_as").textValue()).pos();
        List<Upcast> steps = new ArrayList<>();
        for (JsonNode step : upcastField.get("steps")) {
            String kind = step.get("kind").textValue();
            if (!kind.equals("rescaled")) {
                throw new IllegalArgumentException("The JVM edge knows no upcast of the kind " + kind);
            }
            steps.add(new Upcast(position, step.get("factor").longValue()));
        }
        return steps;
    }

    void apply(IndexedRecord record) {
        record.put(position, rescaled((Long) record.get(position)));
    }

    private long rescaled(long value) {
        if (value > greatest) {
            return Long.MAX_VALUE;
        }
        return value < least ? Long.MIN_VALUE : value * factor;
    }
}
