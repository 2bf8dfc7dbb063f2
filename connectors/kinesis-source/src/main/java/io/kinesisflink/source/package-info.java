/**
 * A source of Flink that reads an Amazon Kinesis data stream, every shard after those from which it came.
 * {@link io.kinesisflink.source.KinesisSource} is the door to it.
 */
package io.kinesisflink.source;
