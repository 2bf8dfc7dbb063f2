package io.kinesisflink.source;

import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;

/** The enumerator has these shards among those that have ended, and from now on in its checkpoints. */
record ShardsEndedHeard(Set<String> shards) implements SourceEvent {}
