package io.kinesisflink.source;

import org.apache.flink.api.connector.source.SourceEvent;

/** The ARN of the consumer that subtasks subscribe with. */
record FanOutConsumer(String arn) implements SourceEvent {}
