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

    private final SplitEnumeratorContext<LogSplit> context;
    private final StreamContext streamContext;
    private final KinesisSource<Event> source;
    private final ArchiveReading archive;
    private final LogState restored;

    /** Null until the stream begins. */
    private SplitEnumerator<ShardSplit, EnumeratorState> stream;

    private boolean isDecided;
    private Map<String, ShardPosition> behind = new HashMap<>();
    private final Map<String, LogSplit> pending = new LinkedHashMap<>();
    private final Map<String, Integer> owners = new HashMap<>();
    private final Set<Integer> registered = new HashSet<>();
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
            begin(restored);
        }
    }

    private void begin(LogState from) {
        stream = from == null || from.stream() == null
                ? source.createEnumerator(streamContext)
                : source.restoreEnumerator(streamContext, from.stream());
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
        reported.forEach(split -> giveBack(split, subtask));
        registered.add(subtask);
        if (isDecided) {
            handOut(subtask);
        } else if (registered.size() == context.currentParallelism()) {
            decide();
        }
    }

    private void tellThatStreamBegins(int subtask) {
        if (archive != null && context.registeredReaders().containsKey(subtask)) {
            context.sendEventToSourceReader(subtask, new StreamBegins());
        }
    }

    /** What another subtask has by now is left to that one: it was handed on to it. */
    private void giveBack(LogSplit split, int subtask) {
        if (owners.getOrDefault(split.splitId(), subtask) == subtask) {
            owners.remove(split.splitId());
            pending.merge(split.splitId(), split, LogEnumerator::further);
        }
    }

    private static LogSplit further(LogSplit a, LogSplit b) {
        return SequenceOrder.isAfter(b.reached(), a.reached()) ? b : a;
    }

    /** All restored state is known. */
    private void decide() {
        isDecided = true;
        behind = behind();
        Map<String, String> reached = reached();
        boolean isRestoredStream = pending.values().stream().noneMatch(LogSplit.OfArchive.class::isInstance);
        pending.clear();
        if (!archive.goesOnWithTheStream()) {
            reached.forEach(this::toBeRead);
            handOutToAll();
            return;
        }
        archive.positions.forEach((shard, end) -> {
            if (SequenceOrder.isAfter(end, reached.get(shard))) {
                toBeRead(shard, reached.get(shard));
            } else {
                read.add(shard);
            }
        });
        if (!pending.isEmpty()) {
            handOutToAll();
        } else if (isRestoredStream && restored != null && restored.stream() != null) {
            begin(restored);
            registered.forEach(this::addReader);
        } else {
            beginBehind(reached);
        }
    }

    private void toBeRead(String shard, String reached) {
        LogSplit split = new LogSplit.OfArchive(shard, reached);
        pending.put(split.splitId(), split);
    }

    /** How far the stream was read. */
    private Map<String, ShardPosition> behind() {
        Map<String, ShardPosition> positions = new HashMap<>();
        if (restored != null) {
            positions.putAll(restored.behind());
            if (restored.stream() != null) {
                positions.putAll(restored.stream().given());
                restored.stream().ended().forEach(shard -> positions.put(shard, ShardPosition.end()));
                restored.stream().pending().forEach(split -> positions.put(split.shardId(), split.position()));
            }
        }
        StreamContext.streamSplits(List.copyOf(pending.values()))
                .forEach(split -> positions.put(split.shardId(), split.position()));
        return positions;
    }

    /** How far each shard was read, of the stream or of the archive. */
    private Map<String, String> reached() {
        Map<String, String> reached = new HashMap<>();
        behind.forEach((shard, position) -> reached.put(shard, LogSplit.OfStream.reached(position)));
        pending.values().stream()
                .filter(split -> split.reached() != null)
                .forEach(split -> reached.merge(split.shard(), split.reached(), SequenceOrder::greater));
        return reached;
    }

    private void handOutToAll() {
        registered.forEach(this::handOut);
    }

    private void handOut(int subtask) {
        if (!archive.goesOnWithTheStream() && subtask > 0) {
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
        return archive.goesOnWithTheStream() ? ShardAssigner.BY_HASH.subtaskOf(shard, context.currentParallelism()) : 0;
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
            Map<String, String> reached = new TreeMap<>();
            behind.forEach((shard, position) -> reached.put(shard, LogSplit.OfStream.reached(position)));
            beginBehind(reached);
            return;
        }
        for (int other : context.registeredReaders().keySet()) {
            context.sendEventToSourceReader(other, new ArchivesRead(new HashSet<>(read)));
        }
    }

    /** Begins the stream behind what was read and behind the archive, whichever is further. */
    private void beginBehind(Map<String, String> reached) {
        Map<String, String> ends = new TreeMap<>(archive.positions);
        reached.forEach((shard, position) -> ends.merge(shard, position, SequenceOrder::greater));
        Map<String, ShardPosition> starts = new TreeMap<>(behind);
        ends.forEach((shard, end) -> starts.put(shard, ShardPosition.parse(end)));
        stream = source.startingAt(starts).createEnumerator(streamContext);
        stream.start();
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
            registered.remove(subtask);
            splits.forEach(split -> giveBack(split, subtask));
        }
    }

    @Override
    public LogState snapshotState(long checkpoint) throws Exception {
        if (stream != null) {
            return new LogState(false, List.of(), Map.of(), stream.snapshotState(checkpoint));
        }
        List<LogSplit> held = List.copyOf(pending.values());
        return isDecided || restored == null
                ? new LogState(true, held, behind, null)
                : new LogState(true, held, restored.behind(), restored.stream());
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
