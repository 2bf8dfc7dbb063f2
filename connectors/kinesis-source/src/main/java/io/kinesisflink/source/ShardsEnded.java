package io.kinesisflink.source;

import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;

/** A subtask tells the enumerator of shards that a completed checkpoint says have ended; it does so until it is heard. */
record ShardsEnded(Set<String> shards) implements SourceEvent {}
