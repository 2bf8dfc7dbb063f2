package io.kinesisflink.source;

import java.util.function.DoubleSupplier;

/** How long to wait before a request is made again, and whether a refusal is to be believed. */
final class Retries {

    /** A refusal is believed if nothing else was heard so many times in a row. */
    static final int REFUSALS = 5;

    private static final long FIRST_MS = 500;
    private static final long LONGEST_MS = 10_000;
    private static final int DOUBLINGS = 5;

    private final DoubleSupplier random;
    private int failures;
    private int refusals;

    /** Takes a source of numbers from 0 to 1. */
    Retries(DoubleSupplier random) {
        this.random = random;
    }

    void succeeded() {
        failures = 0;
        refusals = 0;
    }

    /** Half of a time that doubles with each failure up to 10 s, and as much again at random, in milliseconds. */
    long failed(Failure failure) {
        refusals = failure.isRefusal() ? refusals + 1 : 0;
        long most = Math.min(LONGEST_MS, FIRST_MS << Math.min(failures, DOUBLINGS));
        failures++;
        return most / 2 + (long) (random.getAsDouble() * (most / 2));
    }

    boolean isRefused() {
        return refusals >= REFUSALS;
    }

    int failures() {
        return failures;
    }
}
