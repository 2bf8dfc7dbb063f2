package io.telefold.source;

import org.apache.flink.api.connector.source.SourceEvent;

/** All of the archive that was asked for has been read for good, and the stream is read from now on. */
record StreamBegins() implements SourceEvent {}
