package io.telefold.source;

import java.util.OptionalLong;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.runtime.state.FunctionInitializationContext;

/** Makes a function take its state for restored, where another put something into it. */
final class Restored implements FunctionInitializationContext {

    private final FunctionInitializationContext context;

    Restored(FunctionInitializationContext context) {
        this.context = context;
    }

    @Override
    public boolean isRestored() {
        return true;
    }

    @Override
    public OptionalLong getRestoredCheckpointId() {
        return context.getRestoredCheckpointId();
    }

    @Override
    public OperatorStateStore getOperatorStateStore() {
        return context.getOperatorStateStore();
    }

    @Override
    public KeyedStateStore getKeyedStateStore() {
        return context.getKeyedStateStore();
    }
}
