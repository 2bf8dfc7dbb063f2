package io.kinesisflink.source;

import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Queues tasks until the subtask's thread asks for them, and tells it by a future that there are some. */
abstract class QueuedLoop implements Loop {

    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private volatile CompletableFuture<Void> available = new CompletableFuture<>();

    @Override
    public void run(Runnable task) {
        tasks.add(task);
        wake();
    }

    /** Completes when there is something to do. */
    CompletableFuture<Void> available() {
        return available;
    }

    /** Makes the subtask's thread look at what there is. */
    void wake() {
        available.complete(null);
    }

    /** To be called before the last look at what there is: what comes after that completes the new future. */
    void rearm() {
        if (available.isDone()) {
            available = new CompletableFuture<>();
        }
    }

    boolean hasTasks() {
        return !tasks.isEmpty();
    }

    void runTasks() {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            task.run();
        }
    }

    @Override
    public void close() {
        tasks.clear();
    }
}
