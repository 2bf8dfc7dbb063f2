package io.kinesisflink.source;

import java.io.Serializable;
import java.util.concurrent.ThreadLocalRandom;

/** The clock and the threads that a source runs on: those of a real machine, or of a model in tests. */
interface Machine extends Serializable {

    /** The clock, in epoch milliseconds. */
    long nowMs();

    /** A number from 0 to 1. */
    double random();

    /** A loop for one subtask. */
    QueuedLoop loop();

    /** The machine that runs this. */
    final class Real implements Machine {

        private static final long serialVersionUID = 1L;

        @Override
        public long nowMs() {
            return System.currentTimeMillis();
        }

        @Override
        public double random() {
            return ThreadLocalRandom.current().nextDouble();
        }

        @Override
        public QueuedLoop loop() {
            return new TaskLoop();
        }
    }
}
