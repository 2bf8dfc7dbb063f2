/**
 * A sink of Flink that writes into an Amazon Kinesis data stream, at least once and in the order of each partition key.
 * {@link io.kinesisflink.sink.KinesisSink} is the door to it.
 */
package io.kinesisflink.sink;
