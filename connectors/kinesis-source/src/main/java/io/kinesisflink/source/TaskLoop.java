package io.kinesisflink.source;

import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** The loop of a task that runs: the machine's clocks, and a thread that waits for times. */
class TaskLoop extends QueuedLoop {

    private static final long NANOS_PER_MS = 1_000_000;

    private final ScheduledThreadPoolExecutor timer;
    private boolean isClosed;

    TaskLoop() {
        timer = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "kinesis-source-timer");
            thread.setDaemon(true);
            return thread;
        });
    }

    @Override
    public long nowMs() {
        return System.currentTimeMillis();
    }

    @Override
    public long elapsedMs() {
        return System.nanoTime() / NANOS_PER_MS;
    }

    @Override
    public double random() {
        return ThreadLocalRandom.current().nextDouble();
    }

    @Override
    public void later(long delayMs, Runnable task) {
        if (!isClosed) {
            timer.schedule(() -> run(task), delayMs, TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public void close() {
        isClosed = true;
        timer.shutdownNow();
        super.close();
    }
}
