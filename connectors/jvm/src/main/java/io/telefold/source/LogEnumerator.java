package io.telefold.source;

import io.kinesisflink.source.EnumeratorState;
import io.kinesisflink.source.KinesisSource;
import io.kinesisflink.source.ShardAssigner;
import io.kinesisflink.source.ShardPosition;
import io.kinesisflink.source.ShardSplit;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.SequenceOrder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;

/**
 * Hands out what is to be read of the archive, and when all of that has been read for good has the enumerator of the stream
 * take over.
 *
 * <p>Where there is an archive, it waits until all subtasks have said what their restored state has: only then it is known
 * how far each shard was read, whether of the stream or of the archive, and so whether there is something left of the archive.
 * Without one the stream begins at once.
 */
final class LogEnumerator implements SplitEnumerator<LogSplit, LogState> {

    /** The subtask that reads an archive that no stream follows. */
    private static final int READS_ALL = 0;

    private final SplitEnumeratorContext<LogSplit> context;
    private final StreamContext streamContext;
    private final KinesisSource<Event> source;
    private final ArchiveReading archive;
    private final LogState restored;

    /** Null until the stream begins. */
    private SplitEnumerator<ShardSplit, EnumeratorState> stream;

    private boolean isDecided;

    /** How far each shard was read when that was decided, of the stream or of the archive, and what has ended since. */
    private final Map<String, ShardPosition> behind = new TreeMap<>();

    private final Map<String, LogSplit> pending = new LinkedHashMap<>();
    private final Map<String, Integer> owners = new HashMap<>();
    private final Set<String> read = new HashSet<>();

    /** Takes what to read of the archive, or null, and the state of a checkpoint, null at a first start. */
    LogEnumerator(
            SplitEnumeratorContext<LogSplit> context,
            KinesisSource<Event> source,
            ArchiveReading archive,
            LogState restored) {
        this.context = context;
        this.streamContext = new StreamContext(context);
        this.source = source;
        this.archive = archive;
        this.restored = restored;
        if (archive == null && restored != null && restored.isWithinArchive()) {
            throw new IllegalStateException("The checkpoint was taken before its job had read the archive to the end;"
                    + " start the job with the archive again, or without the checkpoint");
        }
        if (restored != null) {
            restored.pending().forEach(split -> pending.put(split.splitId(), split));
        }
    }

    @Override
    public void start() {
        if (archive == null) {
            isDecided = true;
            if (restored == null) {
                begin(null);
            } else {
                behind.putAll(restored.behind());
                begin(withHeld(restored.stream(), StreamContext.streamSplits(restored.pending())));
            }
        }
    }

    private void begin(EnumeratorState from) {
        stream = from == null ? source.createEnumerator(streamContext) : source.restoreEnumerator(streamContext, from);
        stream.start();
    }

    @Override
    public void addReader(int subtask) {
        if (stream != null) {
            stream.addReader(subtask);
            tellThatStreamBegins(subtask);
            return;
        }
        ReaderInfo reader = context.registeredReaders().get(subtask);
        if (reader == null) {
            return;
        }
        List<LogSplit> reported = reader.getReportedSplitsOnRegistration();
        if (isDecided) {
            reported.forEach(split -> giveBack(split, subtask));
            handOut(subtask);
            return;
        }
        reported.forEach(split -> pending.merge(split.splitId(), split, LogEnumerator::further));
        if (context.registeredReaders().size() == context.currentParallelism()) {
            decide();
        }
    }

    private void tellThatStreamBegins(int subtask) {
        if (archive != null && context.registeredReaders().containsKey(subtask)) {
            context.sendEventToSourceReader(subtask, new StreamBegins());
        }
    }

    /**
     * Only what the subtask was given: the rest of what it reports was known when it was decided what is read, and is
     * another subtask's by now, or has been read. Whoever reads a whole archive finds shards by itself.
     */
    private void giveBack(LogSplit split, int subtask) {
        boolean wasFound =
                split instanceof LogSplit.OfArchive && !archive.goesOnWithTheStream() && subtask == READS_ALL;
        if (owners.remove(split.splitId(), subtask) || wasFound) {
            pending.merge(split.splitId(), split, LogEnumerator::further);
        }
    }

    private static LogSplit further(LogSplit a, LogSplit b) {
        return SequenceOrder.isAfter(b.reached(), a.reached()) ? b : a;
    }

    /** All restored state is known. */
    private void decide() {
        isDecided = true;
        List<LogSplit> known = List.copyOf(pending.values());
        pending.clear();
        if (restored != null) {
            reach(restored);
        }
        known.forEach(this::reach);
        if (!archive.goesOnWithTheStream()) {
            behind.keySet().forEach(this::toBeRead);
            handOutToAll();
            return;
        }
        archive.positions.forEach((shard, end) -> {
            if (SequenceOrder.isAfter(end, reached(shard))) {
                toBeRead(shard);
            } else {
                read.add(shard);
            }
        });
        if (!pending.isEmpty()) {
            handOutToAll();
        } else if (restored != null && restored.stream() != null) {
            begin(withHeld(restored.stream(), StreamContext.streamSplits(known)));
            addAllReaders();
        } else {
            beginBehindAll();
        }
    }

    /** How far the stream was read is known better by those that read it than from what ended long ago. */
    private void reach(LogState state) {
        behind.putAll(state.behind());
        if (state.stream() != null) {
            behind.putAll(state.stream().given());
            state.stream().ended().forEach(shard -> behind.put(shard, ShardPosition.end()));
            state.stream().pending().forEach(split -> behind.put(split.shardId(), split.position()));
        }
    }

    private void reach(LogSplit split) {
        if (split instanceof LogSplit.OfStream ofStream) {
            behind.put(split.shard(), ofStream.split().position());
        } else {
            reach(split.shard(), split.reached());
        }
    }

    private void reach(String shard, String position) {
        if (SequenceOrder.isAfter(position, reached(shard))) {
            behind.put(shard, ShardPosition.parse(position));
        }
    }

    /** Null for a shard of which nothing was read. */
    private String reached(String shard) {
        ShardPosition position = behind.get(shard);
        return position == null ? null : LogSplit.OfStream.reached(position);
    }

    private void toBeRead(String shard) {
        LogSplit split = new LogSplit.OfArchive(shard, reached(shard));
        pending.put(split.splitId(), split);
    }

    /** The state of the stream's enumerator with splits beside it that were held here until it was decided. */
    private static EnumeratorState withHeld(EnumeratorState state, List<ShardSplit> held) {
        Map<String, ShardSplit> pending = new LinkedHashMap<>();
        held.forEach(split -> pending.put(split.shardId(), split));
        state.pending().forEach(split -> pending.put(split.shardId(), split));
        Set<String> started = new TreeSet<>(state.started());
        started.addAll(pending.keySet());
        Set<String> ended = new TreeSet<>(state.ended());
        pending.values().stream()
                .filter(split -> split.position().isEnd())
                .forEach(split -> ended.add(split.shardId()));
        pending.keySet().removeAll(ended);
        started.removeAll(ended);
        return new EnumeratorState(
                state.beginning(), state.wasListed(), started, ended, List.copyOf(pending.values()), state.given());
    }

    private void handOutToAll() {
        context.registeredReaders().keySet().forEach(this::handOut);
    }

    private void handOut(int subtask) {
        if (!archive.goesOnWithTheStream() && subtask != READS_ALL) {
            context.signalNoMoreSplits(subtask);
            return;
        }
        List<LogSplit> splits = new ArrayList<>(pending.values());
        splits.removeIf(split -> ownerOf(split.shard()) != subtask);
        for (LogSplit split : splits) {
            pending.remove(split.splitId());
            owners.put(split.splitId(), subtask);
        }
        if (!splits.isEmpty()) {
            context.assignSplits(new SplitsAssignment<>(Map.of(subtask, splits)));
        }
        context.sendEventToSourceReader(subtask, new ArchiveBegins(new HashSet<>(read)));
    }

    /** Of an archive that no stream follows all shards are the first subtask's: which came of which it does not say. */
    private int ownerOf(String shard) {
        return archive.goesOnWithTheStream()
                ? ShardAssigner.BY_HASH.subtaskOf(shard, context.currentParallelism())
                : READS_ALL;
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        if (event instanceof ArchivesRead told) {
            if (stream == null) {
                read.addAll(told.shards());
                heardOfArchives();
            }
        } else if (stream != null) {
            stream.handleSourceEvent(subtask, event);
        }
    }

    private void heardOfArchives() {
        if (read.containsAll(archive.positions.keySet())) {
            beginBehindAll();
            return;
        }
        for (int other : context.registeredReaders().keySet()) {
            context.sendEventToSourceReader(other, new ArchivesRead(new HashSet<>(read)));
        }
    }

    /** Begins the stream behind what was read and behind the archive, whichever is further. */
    private void beginBehindAll() {
        archive.positions.forEach(this::reach);
        stream = source.startingAt(behind).createEnumerator(streamContext);
        stream.start();
        addAllReaders();
    }

    /** What they reported is known. */
    private void addAllReaders() {
        streamContext.hideReported(true);
        context.registeredReaders().keySet().forEach(this::addReader);
        streamContext.hideReported(false);
    }

    /** Nobody asks for splits: they are handed out. */
    @Override
    public void handleSplitRequest(int subtask, String host) {}

    @Override
    public void addSplitsBack(List<LogSplit> splits, int subtask) {
        if (stream != null) {
            stream.addSplitsBack(StreamContext.streamSplits(splits), subtask);
        } else {
            splits.forEach(split -> giveBack(split, subtask));
        }
    }

    @Override
    public LogState snapshotState(long checkpoint) throws Exception {
        if (stream != null) {
            EnumeratorState state = stream.snapshotState(checkpoint);
            state.ended().forEach(shard -> behind.put(shard, ShardPosition.end()));
            return new LogState(false, List.of(), new TreeMap<>(behind), state);
        }
        List<LogSplit> held = List.copyOf(pending.values());
        return isDecided || restored == null
                ? new LogState(true, held, new TreeMap<>(behind), null)
                : new LogState(restored.isWithinArchive(), held, restored.behind(), restored.stream());
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
        if (stream != null) {
            stream.notifyCheckpointComplete(checkpoint);
        }
    }

    @Override
    public void close() throws IOException {
        if (stream != null) {
            stream.close();
        }
    }
}
