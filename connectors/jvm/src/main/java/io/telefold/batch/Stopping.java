package io.telefold.batch;

import java.lang.reflect.Method;
import java.util.OptionalLong;
import org.apache.flink.streaming.runtime.tasks.StreamTask;

/**
 * Tells the savepoint with which a job is stopped from other checkpoints. Flink ends a job that is stopped without
 * {@code finish()}, which is for jobs that are drained, and tells operators of no other sign; its tasks know.
 */
final class Stopping {

    private static final Method SAVEPOINT = savepointOfTask();

    private Stopping() {}

    private static Method savepointOfTask() {
        try {
            Method method = StreamTask.class.getDeclaredMethod("getSynchronousSavepointId");
            method.setAccessible(true);
            return method;
        } catch (NoSuchMethodException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** Whether {@code task} ends with the checkpoint that is about to be taken. */
    static boolean isBy(long checkpointId, StreamTask<?, ?> task) throws ReflectiveOperationException {
        OptionalLong savepoint = (OptionalLong) SAVEPOINT.invoke(task);
        return savepoint.isPresent() && savepoint.getAsLong() == checkpointId;
    }
}
