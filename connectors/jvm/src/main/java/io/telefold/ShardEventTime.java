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
 * <p>A rejected row is stamped with its arrival and moves no clock: its event_time is unknown, or is what is wrong.
 */
public final class ShardEventTime implements AssignerWithPeriodicWatermarks<Row> {

    private static final long serialVersionUID = 1L;

    private final long maxOutOfOrdernessMs;
    private long newest = Long.MIN_VALUE;

    public ShardEventTime(long maxOutOfOrdernessMs) {
        this.maxOutOfOrdernessMs = maxOutOfOrdernessMs;
    }

    long maxOutOfOrdernessMs() {
        return maxOutOfOrdernessMs;
    }

    @Override
    public long extractTimestamp(Row row, long recordTimestamp) {
        long arrival = (Long) row.getField(EventRow.ARRIVAL);
        if (row.getField(EventRow.REASON) != null) {
            return arrival;
        }
        long eventTime = (Long) row.getField(EventRow.EVENT_TIME);
        newest = Math.max(newest, Math.min(eventTime, arrival));
        return eventTime;
    }

    /** One less than the oldest time still expected: a watermark says that its own time is over. */
    @Override
    public Watermark getCurrentWatermark() {
        boolean begun = newest != Long.MIN_VALUE;
        return new Watermark(begun ? newest - maxOutOfOrdernessMs - 1 : Long.MIN_VALUE);
    }
}
