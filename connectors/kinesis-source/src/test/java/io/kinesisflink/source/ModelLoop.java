package io.kinesisflink.source;

import java.util.PriorityQueue;
import java.util.Random;

/** A loop whose time is that of the model, and moves when that is moved. */
final class ModelLoop extends QueuedLoop {

    private record Timer(long at, long number, Runnable task) implements Comparable<Timer> {
        @Override
        public int compareTo(Timer other) {
            return at != other.at ? Long.compare(at, other.at) : Long.compare(number, other.number);
        }
    }

    private final ModelKinesis kinesis;
    private final Random random;
    private final PriorityQueue<Timer> timers = new PriorityQueue<>();
    private long numbers;
    private boolean isClosed;

    ModelLoop(ModelKinesis kinesis, Random random) {
        this.kinesis = kinesis;
        this.random = random;
    }

    @Override
    public long nowMs() {
        return kinesis.nowMs;
    }

    @Override
    public long elapsedMs() {
        return kinesis.nowMs;
    }

    @Override
    public double random() {
        return random.nextDouble();
    }

    @Override
    public void later(long delayMs, Runnable task) {
        if (!isClosed) {
            timers.add(new Timer(kinesis.nowMs + delayMs, numbers++, task));
        }
    }

    /** Runs what is due by now. */
    void tick() {
        while (!timers.isEmpty() && timers.peek().at <= kinesis.nowMs) {
            run(timers.remove().task);
        }
    }

    boolean isClosed() {
        return isClosed;
    }

    @Override
    public void close() {
        isClosed = true;
        timers.clear();
        super.close();
    }
}
