package io.telefold.batch;

/** The times at which the durable store is given what it lacks, each key at its own. */
public final class DueTimes {

    /** An odd number, whose products with numbers that are near each other are far from each other. */
    private static final long SPREAD = 0x9E3779B97F4A7C15L;

    private DueTimes() {}

    /**
     * The first after {@code now} of the times of a key, which are {@code intervalMs} apart. Those of many keys are spread
     * over the interval, so that a million devices which report on the hour are not all due at once.
     */
    public static long next(String key, long now, long intervalMs) {
        long phase = Math.floorMod(key.hashCode() * SPREAD, intervalMs);
        return now - Math.floorMod(now - phase, intervalMs) + intervalMs;
    }
}
