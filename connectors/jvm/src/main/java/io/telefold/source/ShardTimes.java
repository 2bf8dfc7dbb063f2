package io.telefold.source;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Up to which arrival each shard of a subtask has been read, and so up to which all of them have: the time of the log.
 * A shard of which Kinesis tells nothing stays where it is, and holds the others.
 *
 * <p>Nothing that arrived before the newest record read is left in its shard. Where Kinesis says that there is nothing
 * more, time is what the clock was when it was asked: the answer may have been on its way for long. A shard that was
 * closed has nothing more either, but its children do: it has the time of its records alone.
 *
 * <p>Each shard has one thread that writes; another tells the time. Times are epoch milliseconds.
 */
final class ShardTimes {

    /** Kinesis does not say how far a shard was read. */
    static final long UNKNOWN = -1;

    private final Map<String, Shard> shards = new ConcurrentHashMap<>();

    /** It is going to be read. */
    void begun(String shard) {
        shards.putIfAbsent(shard, new Shard());
    }

    /** Nothing will ever come of it again. */
    void ended(String shard) {
        shards.remove(shard);
    }

    /** Kinesis is asked for records behind those that were handed on. */
    void asked(String shard, long now) {
        shards.computeIfPresent(shard, (name, one) -> one.asked(now));
    }

    /**
     * Records were handed on, the newest of which arrived at {@code arrival}; they end so far before the newest of the
     * shard as Kinesis says, or {@link #UNKNOWN}.
     */
    void read(String shard, long arrival, long behindMs) {
        shards.computeIfPresent(shard, (name, one) -> one.read(arrival, behindMs));
    }

    /** There were no records from where it was asked for up to {@code behindMs} before the newest, or {@link #UNKNOWN}. */
    void readNothing(String shard, long behindMs) {
        shards.computeIfPresent(shard, (name, one) -> one.readNothing(behindMs));
    }

    /** The shard of the last answer was not closed when Kinesis was asked, so that all later ones come of it. */
    void wasOpen(String shard) {
        shards.computeIfPresent(shard, (name, one) -> one.wasOpen());
    }

    /** The shard was open, and all that it held at {@code time} was handed on: it is behind by nothing. */
    void reached(String shard, long time) {
        shards.computeIfPresent(shard, (name, one) -> one.reachedTip(time));
    }

    boolean isEmpty() {
        return shards.isEmpty();
    }

    /** Up to which arrival all open shards have been read; Long.MIN_VALUE while one has not been heard of. */
    long time() {
        return shards.values().stream().mapToLong(shard -> shard.time).min().orElse(Long.MIN_VALUE);
    }

    /** How far the last record read of the slowest open shard is behind its newest; -1 while Kinesis has not said. */
    long behindMs() {
        long most = 0;
        for (Shard shard : shards.values()) {
            long behindMs = shard.behindMs;
            if (behindMs == UNKNOWN) {
                return UNKNOWN;
            }
            most = Math.max(most, behindMs);
        }
        return most;
    }

    private static final class Shard {

        private volatile long time = Long.MIN_VALUE;
        private volatile long behindMs = UNKNOWN;
        private long asked;

        /** Up to when it has been read, if it was open then. */
        private long readTo = Long.MIN_VALUE;

        Shard asked(long now) {
            asked = now;
            readTo = Long.MIN_VALUE;
            return this;
        }

        Shard read(long arrival, long behindMs) {
            this.behindMs = behindMs;
            readTo = behindMs == 0 ? asked : Long.MIN_VALUE;
            return reached(arrival);
        }

        Shard readNothing(long behindMs) {
            this.behindMs = behindMs;
            readTo = behindMs == UNKNOWN ? asked : asked - behindMs;
            return this;
        }

        Shard wasOpen() {
            return reached(readTo);
        }

        Shard reachedTip(long time) {
            behindMs = 0;
            return reached(time);
        }

        private Shard reached(long time) {
            this.time = Math.max(this.time, time);
            return this;
        }
    }
}
