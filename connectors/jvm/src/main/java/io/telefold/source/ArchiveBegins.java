package io.telefold.source;

import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;

/** A subtask has all the archived shards that it is to read; of these, whoever had them, nothing is read again. */
record ArchiveBegins(Set<String> read) implements SourceEvent {}
