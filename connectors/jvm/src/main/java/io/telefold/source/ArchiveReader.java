package io.telefold.source;

import io.telefold.Metrics;
import io.telefold.archive.ArchiveElders;
import io.telefold.archive.ArchiveFile;
import io.telefold.archive.ArchiveFileReader;
import io.telefold.archive.ArchiveLane;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.EventDecoder;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.metrics.MetricGroup;

/**
 * Reads the archived shards of one subtask, one after the other: the children of a shard that was split have greater
 * numbers, and follow it. Files are looked for in a thread of its own; all else runs in the subtask's.
 */
final class ArchiveReader implements Closeable {

    private final ArchiveReading archive;
    private final EventDecoder decoder;
    private final boolean hasCheckpoints;
    private final SourceReaderContext context;
    private final ArchivedShards shards;

    /** Null where one subtask reads all. */
    private final ArchiveElders elders;

    private final ScheduledExecutorService looking;
    private final Queue<ArchiveLane> waiting = new ArrayDeque<>();
    private ArchiveLane current;
    private long currentLeft;

    /** What is looked for; null while there is something to read. */
    private CompletableFuture<SortedMap<String, List<ArchiveFile>>> found;

    private CompletableFuture<Void> available = new CompletableFuture<>();
    private boolean isBegun;
    private boolean isOver;
    private volatile long rounds;

    /** Takes a decoder that is open, whether the job takes checkpoints, and what looks for files until it is closed. */
    ArchiveReader(
            ArchiveReading archive,
            EventDecoder decoder,
            boolean hasCheckpoints,
            SourceReaderContext context,
            ScheduledExecutorService looking) {
        this.archive = archive;
        this.decoder = decoder;
        this.hasCheckpoints = hasCheckpoints;
        this.context = context;
        this.looking = looking;
        this.shards = new ArchivedShards(archive);
        this.elders = archive.goesOnWithTheStream() ? new ArchiveElders(archive.positions, shards::isMine) : null;
        MetricGroup metrics = Metrics.of(context.metricGroup());
        metrics.gauge("archiveBytes", shards::bytes);
        metrics.gauge("archiveBytesLeft", shards::bytesLeft);
        if (archive.goesOnWithNewFiles()) {
            metrics.gauge("archiveRounds", () -> rounds);
        }
    }

    static ScheduledExecutorService ownThread() {
        return Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task, "archive-files");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** The subtask is to read this shard behind a position; null stands for all of it. */
    void assign(String shard, String position) {
        shards.assign(shard, position);
    }

    /** All shards have been assigned; of these, whoever had them, nothing is read again. */
    void begin(Set<String> read) throws IOException {
        if (isBegun) {
            return;
        }
        isBegun = true;
        if (elders != null) {
            elders.heard(read);
        }
        if (shards.haveUnread()) {
            lookForFiles(0);
        } else {
            end();
        }
        wake();
    }

    /** The archives of these shards have been read for good. */
    void heard(Set<String> read) {
        elders.heard(read);
        wake();
    }

    /** There is nothing for this subtask. */
    void leaveAll() {
        isBegun = true;
        isOver = true;
        wake();
    }

    private void wake() {
        available.complete(null);
    }

    CompletableFuture<Void> isAvailable() {
        return available;
    }

    InputStatus pollNext(ReaderOutput<Event> output) throws IOException {
        if (isOver && !archive.goesOnWithTheStream()) {
            return InputStatus.END_OF_INPUT;
        }
        if (isBegun && !isOver && (found == null || found.isDone())) {
            return readOn(output) ? InputStatus.MORE_AVAILABLE : waitForSomething();
        }
        return waitForSomething();
    }

    /** What comes of what is looked for, or of what others tell. */
    private InputStatus waitForSomething() {
        available = found == null ? new CompletableFuture<>() : found.handle((files, failure) -> null);
        return InputStatus.NOTHING_AVAILABLE;
    }

    /** Does one step, if there is one that can be done. */
    private boolean readOn(ReaderOutput<Event> output) throws IOException {
        if (found != null) {
            takeFound();
        }
        if (current != null) {
            readRecord(output);
            return true;
        }
        if (waiting.isEmpty()) {
            endRound();
            return true;
        }
        if (elders != null && elders.areToBeRead(waiting.peek().shard())) {
            return false;
        }
        current = waiting.poll();
        return true;
    }

    private void lookForFiles(long afterMs) {
        CompletableFuture<SortedMap<String, List<ArchiveFile>>> looked = new CompletableFuture<>();
        found = looked;
        looking.schedule(() -> look(looked), afterMs, TimeUnit.MILLISECONDS);
    }

    private void look(CompletableFuture<SortedMap<String, List<ArchiveFile>>> looked) {
        try {
            looked.complete(shards.newFiles());
        } catch (IOException | RuntimeException failure) {
            looked.completeExceptionally(failure);
        } catch (InterruptedException closed) {
            Thread.currentThread().interrupt();
        }
    }

    private void takeFound() throws IOException {
        SortedMap<String, List<ArchiveFile>> files = joined();
        found = null;
        if (archive.goesOnWithNewFiles()) {
            shards.takeSettled(files);
        } else {
            shards.take(files);
        }
        for (Map.Entry<String, List<ArchiveFile>> shard : files.entrySet()) {
            if (elders != null) {
                elders.begins(shard.getKey(), shard.getValue().get(0).first);
            }
        }
        waiting.addAll(shards.lanes());
    }

    private SortedMap<String, List<ArchiveFile>> joined() throws IOException {
        try {
            return found.join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof IOException cause ? cause : new IOException(e.getCause());
        }
    }

    private void readRecord(ReaderOutput<Event> output) throws IOException {
        boolean isThere = current.next();
        if (isThere) {
            emit(current.record(), current.shard(), output);
        }
        if (current.bytesLeft() != currentLeft) {
            currentLeft = current.bytesLeft();
            shards.countBytes();
        }
        if (!isThere) {
            current = null;
            tellWithoutCheckpoints();
        }
    }

    private void emit(ArchiveFileReader record, String shard, ReaderOutput<Event> output) {
        if (record.arrival() >= archive.sinceMs && record.arrival() < archive.untilMs) {
            Event event = decoder.decode(
                    record.data(), record.partitionKey(), record.sequenceNumber(), record.arrival(), shard);
            event.subSequenceNumber = record.subSequenceNumber();
            if (isWanted(event)) {
                output.collect(event, event.arrival);
            }
        }
        shards.reach(shard, record.position());
    }

    private boolean isWanted(Event event) {
        return archive.deviceId == null || !event.isRejected() && archive.deviceId.equals(event.deviceId);
    }

    private void endRound() throws IOException {
        if (archive.goesOnWithNewFiles()) {
            rounds++;
            lookForFiles(archive.pollMs);
        } else {
            end();
        }
    }

    private void end() throws IOException {
        if (archive.goesOnWithTheStream()) {
            shards.checkComplete();
        }
        isOver = true;
        tellWithoutCheckpoints();
    }

    private void tellWithoutCheckpoints() {
        if (elders != null && !hasCheckpoints) {
            elders.covered(shards::reached);
            tell();
        }
    }

    /** Tells what the enumerator has not said yet that it knows. */
    private void tell() {
        Set<String> untold = elders.untold();
        if (!untold.isEmpty()) {
            context.sendSourceEventToCoordinator(new ArchivesRead(untold));
        }
    }

    List<LogSplit> snapshotState(long checkpoint) {
        if (elders != null) {
            elders.snapshot(checkpoint, shards::reached);
        }
        return shards.state();
    }

    void completed(long checkpoint) {
        if (elders != null) {
            elders.completed(checkpoint);
            tell();
        }
    }

    @Override
    public void close() throws IOException {
        looking.shutdownNow();
        shards.close();
        wake();
    }
}
