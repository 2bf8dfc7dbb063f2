package io.kinesisflink.source;

import java.util.List;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * What one answer of Kinesis says of a shard.
 *
 * @param records in their order, maybe none
 * @param behindMs how far the end of the records is behind the newest one, in milliseconds; {@link #UNKNOWN} if it does not
 *     say
 * @param readToMs up to which arrival everything has been read once these records have been, if the shard was open when it
 *     answered, in epoch milliseconds; {@link ShardSplit#UNKNOWN} if the newest record has to tell
 * @param isLast whether the shard has nothing behind them, and never will
 * @param missing the position that was asked for, if the record there is gone; else null
 */
record Batch(List<Record> records, long behindMs, long readToMs, boolean isLast, ShardPosition missing) {

    static final long UNKNOWN = -1;
}
