package io.kinesisflink.client;

import java.util.function.DoubleSupplier;

/** How long to wait before a request is made again, and whether a refusal is to be believed. */
public final class Retries {

    /** A refusal is believed if nothing else was heard so many times in a row. */
    public static final int REFUSALS = 5;

    private static final long FIRST_MS = 500;
    private static final long LONGEST_MS = 10_000;
    private static final int DOUBLINGS = 5;

    private final DoubleSupplier random;
    private int failures;
    private int refusals;

    /** Takes a source of numbers from 0 to 1. */
    public Retries(DoubleSupplier random) {
        this.random = random;
    }

    public void succeeded() {
        failures = 0;
        refusals = 0;
    }

    /** How long to wait, in milliseconds, as {@link #delayMs}. */
    public long failed(Failure failure) {
        refusals = failure.isRefusal() ? refusals + 1 : 0;
        return delayMs(failures++, random.getAsDouble());
    }

    /**
     * Half of a time that doubles with each failure up to 10 s, and as much again at random, in milliseconds.
     *
     * @param failures how many there were in a row before this one
     * @param random a number from 0 to 1
     */
    public static long delayMs(int failures, double random) {
        long most = Math.min(LONGEST_MS, FIRST_MS << Math.min(failures, DOUBLINGS));
        return most / 2 + (long) (random * (most / 2));
    }

    public boolean isRefused() {
        return refusals >= REFUSALS;
    }

    public int failures() {
        return failures;
    }
}
