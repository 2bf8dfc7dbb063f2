package io.kinesisflink.source;

import java.util.Collection;
import java.util.HashSet;
import java.util.Set;

/**
 * Up to which arrival all shards that a subtask has to read have been read. So it follows arrivals while the job catches
 * up, and the clock at the tips of the shards, whether records come or not. No record has a say in it but by its arrival.
 *
 * <p>It is before the last listing: a shard that no listing has shown yet may have what arrived from then on. A
 * subtask that has nothing to read is as far as that, rather than idle: whoever was idle is not waited for until it has
 * caught up with the others. It stands still while the subtask is to read a shard that it has not got, and from the end of
 * a shard until its children are being read, by whichever subtask: what would move it is where nobody reads yet.
 *
 * <p>Written by the subtask's thread; metrics are read by others. All times are epoch milliseconds.
 */
final class TimeOfLog {

    /** Kinesis says when a record arrived approximately, and may let it be read a little later. */
    static final long SLACK_MS = 1_000;

    private final Set<String> withoutSuccessors = new HashSet<>();
    private volatile ShardNews news;
    private volatile int ended;
    private long time = Long.MIN_VALUE;

    void heard(ShardNews news) {
        withoutSuccessors.removeAll(news.succeeded());
        ended = withoutSuccessors.size();
        this.news = news;
    }

    /** The subtask has read this shard to its end. */
    void ended(String shard) {
        withoutSuccessors.add(shard);
        ended = withoutSuccessors.size();
    }

    /** Whether a shard has children, so that nothing arrives in it any more. */
    boolean isClosed(String shard) {
        ShardNews last = news;
        return last != null && last.closed().contains(shard);
    }

    /** Whether the subtask has read a shard to its end whose children have yet to be read on with. */
    boolean isWithoutSuccessors(String shard) {
        return withoutSuccessors.contains(shard);
    }

    /** Shards that are to be read as far as this subtask knows, and are not read yet. */
    int shardsWaiting() {
        ShardNews last = news;
        return ended + (last == null ? 0 : last.waiting());
    }

    /** Whether the subtask knows of all shards that it has to read, and has all of them. */
    boolean isComplete() {
        return news != null && shardsWaiting() == 0;
    }

    /** The time now, which never goes back; Long.MIN_VALUE while it is not known. */
    long advance(Collection<? extends ShardReading<?>> readings) {
        if (isComplete()) {
            long read = Long.MAX_VALUE;
            for (ShardReading<?> reading : readings) {
                if (!reading.hasEnded()) {
                    read = Math.min(read, reading.timeMs());
                }
            }
            long behindSlack = read == Long.MIN_VALUE ? read : read - SLACK_MS;
            time = Math.max(time, Math.min(behindSlack, news.listedAtMs() - 1));
        }
        return time;
    }

    /** How far the slowest shard is behind its newest record, in milliseconds; -1 while that is not known. */
    long behindMs(Collection<? extends ShardReading<?>> readings) {
        if (!isComplete()) {
            return Batch.UNKNOWN;
        }
        long most = 0;
        for (ShardReading<?> reading : readings) {
            if (reading.behindMs() == Batch.UNKNOWN) {
                return Batch.UNKNOWN;
            }
            most = Math.max(most, reading.behindMs());
        }
        return most;
    }
}
