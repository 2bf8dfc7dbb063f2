package io.telefold.rules;

import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.types.Row;

/** The records of the stream of rules, all of one key, since only together they show how many rules there are. */
public final class RuleRecords implements MapFunction<String, Row> {

    private static final long serialVersionUID = 1L;

    /** Emits {@code MicroBatch.appendType}. */
    @Override
    public Row map(String record) {
        return Row.of("rules", record);
    }
}
