package io.kinesisflink.source;

/**
 * The thread of a subtask, seen from what waits for answers and times: everything that a reader does runs in that thread,
 * so nothing of it is locked.
 */
interface Loop extends AutoCloseable {

    /** The clock, in epoch milliseconds. */
    long nowMs();

    /** A clock that never steps, in milliseconds since whenever. */
    long elapsedMs();

    /** A number from 0 to 1. */
    double random();

    /** Has the task run by the subtask's thread soon; called by any thread. */
    void run(Runnable task);

    /** Has the task run by the subtask's thread when the time, in milliseconds, is over. Forgotten once it is closed. */
    void later(long delayMs, Runnable task);

    @Override
    void close();
}
