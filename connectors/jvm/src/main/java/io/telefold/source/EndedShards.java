package io.telefold.source;

import java.util.HashSet;
import org.apache.flink.api.common.functions.AggregateFunction;

/**
 * The shards of which subtasks have told that they ended for good: a set that the JobMaster keeps while it lives, and
 * that only grows. After that, the state that is restored says as much. Of types that every class loader has.
 */
final class EndedShards implements AggregateFunction<HashSet<String>, HashSet<String>, HashSet<String>> {

    private static final long serialVersionUID = 1L;

    static final String NAME = "telefold-ended-shards";

    @Override
    public HashSet<String> createAccumulator() {
        return new HashSet<>();
    }

    @Override
    public HashSet<String> add(HashSet<String> told, HashSet<String> all) {
        all.addAll(told);
        return all;
    }

    /** A copy: where all is one process, it is handed over as it is. */
    @Override
    public HashSet<String> getResult(HashSet<String> all) {
        return new HashSet<>(all);
    }

    @Override
    public HashSet<String> merge(HashSet<String> some, HashSet<String> others) {
        return add(some, others);
    }
}
