package io.kinesisflink.source;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import org.apache.flink.api.connector.source.SourceSplit;

/**
 * A shard and how far it was read.
 *
 * @param shardId the id of the shard, which is also that of the split
 * @param position behind which reading goes on
 * @param firstHashKey the least hash key of the shard, decimal; empty if it is not known
 * @param lastHashKey the greatest hash key of the shard, decimal; empty if it is not known
 * @param arrivalMs when the last record read arrived, in epoch milliseconds; {@link #UNKNOWN} if none was
 * @param readToMs up to which arrival everything has been read, in epoch milliseconds; {@link #UNKNOWN} if it is not known
 */
public record ShardSplit(
        String shardId, ShardPosition position, String firstHashKey, String lastHashKey, long arrivalMs, long readToMs)
        implements SourceSplit {

    /** No time is known. */
    public static final long UNKNOWN = Long.MIN_VALUE;

    static ShardSplit of(ListedShard shard, ShardPosition position) {
        return new ShardSplit(shard.id(), position, shard.firstHashKey(), shard.lastHashKey(), UNKNOWN, UNKNOWN);
    }

    @Override
    public String splitId() {
        return shardId;
    }

    void write(DataOutput out) throws IOException {
        out.writeUTF(shardId);
        position.write(out);
        out.writeUTF(firstHashKey);
        out.writeUTF(lastHashKey);
        out.writeLong(arrivalMs);
        out.writeLong(readToMs);
    }

    static ShardSplit read(DataInput in) throws IOException {
        return new ShardSplit(
                in.readUTF(), ShardPosition.read(in), in.readUTF(), in.readUTF(), in.readLong(), in.readLong());
    }
}
