package io.telefold.source;

import io.kinesisflink.source.ReadingProgress;
import io.kinesisflink.source.ShardSplit;
import io.telefold.Metrics;
import io.telefold.event.Event;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.metrics.MetricGroup;

/** Reads what a subtask is given of the archive, if there is one, and then its shards of the stream, if that follows. */
@SuppressWarnings("try") // what its interface lets close() throw
final class LogReader implements SourceReader<Event, LogSplit> {

    private final SourceReader<Event, ShardSplit> stream;
    private ArchiveReader archive;

    /** Takes the reader of the stream, null if that is not read, and of the archive, null if there is none. */
    LogReader(SourceReaderContext context, SourceReader<Event, ShardSplit> stream, ArchiveReader archive) {
        this.stream = stream;
        this.archive = archive;
        MetricGroup metrics = Metrics.of(context.metricGroup());
        ReadingProgress progress = (ReadingProgress) stream;
        metrics.gauge("behindMs", () -> progress == null ? -1 : progress.behindMs());
        metrics.gauge("shardsWaiting", () -> progress == null ? 0 : progress.shardsWaiting());
        metrics.gauge("positionsTrimmed", () -> progress == null ? 0L : progress.positionsTrimmed());
    }

    @Override
    public void start() {
        if (stream != null) {
            stream.start();
        }
    }

    @Override
    public InputStatus pollNext(ReaderOutput<Event> output) throws Exception {
        return archive == null ? stream.pollNext(output) : archive.pollNext(output);
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return archive == null ? stream.isAvailable() : archive.isAvailable();
    }

    @Override
    public List<LogSplit> snapshotState(long checkpoint) {
        List<LogSplit> splits = new ArrayList<>();
        if (archive != null) {
            splits.addAll(archive.snapshotState(checkpoint));
        }
        if (stream != null) {
            stream.snapshotState(checkpoint).forEach(split -> splits.add(new LogSplit.OfStream(split)));
        }
        return splits;
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
        if (archive != null) {
            archive.completed(checkpoint);
        }
        if (stream != null) {
            stream.notifyCheckpointComplete(checkpoint);
        }
    }

    @Override
    public void addSplits(List<LogSplit> splits) {
        for (LogSplit split : splits) {
            if (split instanceof LogSplit.OfArchive ofArchive) {
                archive.assign(ofArchive.shard(), ofArchive.reached());
            }
        }
        List<ShardSplit> ofStream = StreamContext.streamSplits(splits);
        if (!ofStream.isEmpty()) {
            stream.addSplits(ofStream);
        }
    }

    /** This subtask has nothing to read of an archive that no stream follows. */
    @Override
    public void notifyNoMoreSplits() {
        if (archive != null) {
            archive.leaveAll();
        }
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        try {
            if (event instanceof StreamBegins) {
                endArchive();
            } else if (event instanceof ArchiveBegins begins) {
                archive.begin(begins.read());
            } else if (event instanceof ArchivesRead told) {
                archive.heard(told.shards());
            } else {
                stream.handleSourceEvents(event);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e.getMessage(), e);
        }
    }

    private void endArchive() throws IOException {
        if (archive != null) {
            ArchiveReader ended = archive;
            archive = null;
            ended.close();
        }
    }

    @Override
    public void pauseOrResumeSplits(Collection<String> splitsToPause, Collection<String> splitsToResume) {
        if (stream != null) {
            stream.pauseOrResumeSplits(splitsToPause, splitsToResume);
        }
    }

    @Override
    public void close() throws Exception {
        try {
            endArchive();
        } finally {
            if (stream != null) {
                stream.close();
            }
        }
    }
}
