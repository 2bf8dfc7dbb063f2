package io.kinesisflink.source;

/**
 * A record as a producer put it: one of its own, or one of those that a Kinesis Producer Library made an aggregate of.
 *
 * @param stream the name or ARN of the stream, as it was given to the source
 * @param shardId the shard that holds it
 * @param sequenceNumber decimal, of up to 56 digits; all records of an aggregate share one
 * @param subSequenceNumber its index in the aggregate, null if it lay in none
 * @param previous behind which record of the shard it was read; where reading of the shard began if it is the first
 * @param partitionKey the key that chose the shard
 * @param explicitHashKey the hash key that the producer gave beside the partition key, null if it gave none; Kinesis tells
 *     it of records in aggregates alone
 * @param arrivalMs when Kinesis took it, approximately, in epoch milliseconds
 * @param data what it holds; not a copy
 */
public record KinesisRecord(
        String stream,
        String shardId,
        String sequenceNumber,
        Long subSequenceNumber,
        ShardPosition previous,
        String partitionKey,
        String explicitHashKey,
        long arrivalMs,
        byte[] data) {

    /** Where reading goes on behind this record. */
    public ShardPosition position() {
        return ShardPosition.ofRead(sequenceNumber, subSequenceNumber);
    }
}
