package io.telefold.source;

import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;

/** The archives of these shards have been read for good: a subtask tells the enumerator, and that tells all. */
record ArchivesRead(Set<String> shards) implements SourceEvent {}
