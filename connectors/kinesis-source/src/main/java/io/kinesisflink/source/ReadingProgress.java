package io.kinesisflink.source;

/** How far a subtask has read its shards: each reader that {@link KinesisSource} makes says so. For any thread. */
public interface ReadingProgress {

    /** How far the slowest shard is behind its newest record, in milliseconds; -1 while that is not known. */
    long behindMs();

    /** Shards that the subtask is to read and has not got, and those it has ended whose children are not read yet. */
    int shardsWaiting();

    /** How often a position was gone and records may have been lost with it, since the subtask began. */
    long positionsTrimmed();
}
