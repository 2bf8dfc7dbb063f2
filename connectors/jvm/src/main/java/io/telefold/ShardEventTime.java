package io.telefold;

import org.apache.flink.streaming.api.functions.AssignerWithPeriodicWatermarks;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.types.Row;

/**
 * The event time of one shard: the newest valid event, less the disorder that is tolerated. The consumer clones it for
 * every shard and takes the slowest, so that a shard that catches up does not make another's events late.
 *
 * <p>An event moves it to its arrival at most: a device whose clock is ahead says nothing about the others, which would
 * be silent since a time that has not come.
 *
 * <p>A rejected row is stamped with its arrival: its event_time is unknown, or is what is wrong. It moves no clock, for
 * the valid events beside it may be of devices that catch up. Where rejected rows are all that has come for {@code idleMs}
 * by their arrivals, the shard is as good as idle, and must not hold the others' time: they then move it like events.
 */
public final class ShardEventTime implements AssignerWithPeriodicWatermarks<Row> {

    private static final long serialVersionUID = 1L;

    private final long maxOutOfOrdernessMs;
    private final long idleMs;
    private long newest = Long.MIN_VALUE;

    /** The arrival of the last valid event, or, before the first, of the first rejected row; -1 before either. */
    private long lastValid = -1;

    public ShardEventTime(long maxOutOfOrdernessMs, long idleMs) {
        this.maxOutOfOrdernessMs = maxOutOfOrdernessMs;
        this.idleMs = idleMs;
    }

    long maxOutOfOrdernessMs() {
        return maxOutOfOrdernessMs;
    }

    @Override
    public long extractTimestamp(Row row, long recordTimestamp) {
        long arrival = (Long) row.getField(EventRow.ARRIVAL);
        if (row.getField(EventRow.REASON) != null) {
            passRejected(arrival);
            return arrival;
        }
        lastValid = arrival;
        long eventTime = (Long) row.getField(EventRow.EVENT_TIME);
        newest = Math.max(newest, Math.min(eventTime, arrival));
        return eventTime;
    }

    private void passRejected(long arrival) {
        if (lastValid < 0) {
            lastValid = arrival;
        } else if (arrival - lastValid >= idleMs) {
            newest = Math.max(newest, arrival);
        }
    }

    /** One less than the oldest time still expected: a watermark says that its own time is over. */
    @Override
    public Watermark getCurrentWatermark() {
        boolean begun = newest != Long.MIN_VALUE;
        return new Watermark(begun ? newest - maxOutOfOrdernessMs - 1 : Long.MIN_VALUE);
    }
}
