package io.telefold;

import java.util.Collection;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Whether the shards that a subtask reads have been read to their ends and nothing comes any more, so that time goes on
 * although no event says so. Written by the threads that read shards, read by the one that tells the time; all times are
 * epoch milliseconds of the wall clock.
 */
final class ShardTips {

    /** Kinesis answers several times a second; a shard that was not heard of for so long may hold what nobody saw. */
    private static final long FRESH_MS = 10_000;

    private final long idleMs;
    private final Map<String, Poll> polls = new ConcurrentHashMap<>();
    private final Set<String> open = ConcurrentHashMap.newKeySet();

    /** Nothing may have come for {@code idleMs}. */
    ShardTips(long idleMs) {
        this.idleMs = idleMs;
    }

    /** It is going to be read. */
    void begun(String shard) {
        open.add(shard);
    }

    /** Kinesis answered with so many records, the last of which was {@code behindMs} before the newest of the shard. */
    void polled(String shard, int records, long behindMs, long now) {
        polls.merge(shard, new Poll(now, now, behindMs), (before, poll) ->
                records > 0 ? poll : new Poll(now, before.lastRecord, behindMs));
    }

    /** Nothing will ever come of it again. */
    void ended(String shard) {
        polls.remove(shard);
        open.remove(shard);
    }

    /** How far the last record read of the slowest open shard is behind its newest; -1 while Kinesis has not said. */
    long behindMs() {
        long most = 0;
        for (String shard : open) {
            Poll poll = polls.get(shard);
            if (poll == null || poll.behindMs == Long.MAX_VALUE) {
                return -1;
            }
            most = Math.max(most, poll.behindMs);
        }
        return most;
    }

    /** Whether time goes on at {@code now} although none of {@code shards}, and there are some, has anything more. */
    boolean areReached(Collection<String> shards, long now) {
        return !shards.isEmpty()
                && shards.stream().map(polls::get).allMatch(poll -> poll != null && poll.isAtTheTip(now, idleMs));
    }

    /**
     * Whether one of {@code shards} has given nothing for so long that it no longer holds time back, and yet has, or may
     * have, records that nobody saw: while a job catches up, time would run ahead of them.
     */
    boolean areHidden(Collection<String> shards, long now) {
        return shards.stream().map(polls::get).anyMatch(poll -> poll == null || poll.mayHide(now, idleMs));
    }

    private static final class Poll {

        private final long at;
        private final long lastRecord;
        private final long behindMs;

        /** A shard of which nothing has come yet counts from its first answer on. */
        Poll(long at, long lastRecord, long behindMs) {
            this.at = at;
            this.lastRecord = lastRecord;
            this.behindMs = behindMs;
        }

        boolean isAtTheTip(long now, long idleMs) {
            return hasAll(now) && now - lastRecord >= idleMs;
        }

        /** Where Kinesis does not say how far it is, silence is taken for the tip, as Flink's own reader takes it. */
        boolean mayHide(long now, long idleMs) {
            return !hasAll(now) && behindMs != Long.MAX_VALUE && now - lastRecord >= idleMs;
        }

        private boolean hasAll(long now) {
            return behindMs == 0 && now - at <= FRESH_MS;
        }
    }
}
