package io.telefold.source;

import io.telefold.Metrics;
import io.telefold.archive.ArchiveElders;
import io.telefold.archive.ArchiveFile;
import io.telefold.archive.ArchiveFileReader;
import io.telefold.archive.ArchiveLane;
import io.telefold.archive.ArchiveLanes;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.EventDecoder;
import io.telefold.event.SequenceOrder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.api.common.serialization.RuntimeContextInitializationContextAdapters;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.operators.StreamingRuntimeContext;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.apache.flink.streaming.connectors.kinesis.config.ConsumerConfigConstants;
import org.apache.flink.streaming.connectors.kinesis.config.ConsumerConfigConstants.InitialPosition;
import org.apache.flink.streaming.connectors.kinesis.internals.KinesisDataFetcher;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.util.InstantiationUtil;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The events of a job: those of the Kinesis stream, or of its archive, or of the archive first and of the stream from
 * there on.
 *
 * <p>A shard is read by the same subtask wherever it is read, in order, and where it is read from the stream after those
 * from which it came: {@link ShardLineage}. An archive does not say of which it came. Where the stream is not read at all one
 * subtask reads the archive, shard by shard; where it is, {@link ArchiveElders} has who waits for whom. Without an archive this is otherwise Flink's own consumer, and its
 * checkpoints are that consumer's.
 */
public class EventSource extends FlinkKinesisConsumer<Event> implements CheckpointListener {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(EventSource.class);

    private static final long ELDERS_POLL_MS = 500;

    private final String stream;
    private final EventDecoder decoder;
    private final ArchiveReading archive;
    private final InitialPosition initialPosition;

    private transient ShardLineage lineage;
    private transient volatile StreamReader reader;
    private transient SourcePositions positions;
    private transient ArchiveLanes files;
    private transient SortedMap<String, ArchiveLane> lanes;
    private transient ArchiveElders elders;
    private transient Set<String> heldOnce;
    private transient SortedMap<String, List<ArchiveFile>> unsettled;
    private transient volatile long bytes;
    private transient volatile long bytesLeft;
    private transient volatile long rounds;
    private transient volatile boolean cancelled;
    private transient boolean archiveIsRead;
    private transient LongCounter records;

    /**
     * Takes the stream's name or ARN, what makes events of its records, {@code aws.region} and other properties of the
     * consumer's client, and what to read of the archive, or null.
     */
    public EventSource(String stream, EventDecoder decoder, Properties client, ArchiveReading archive) {
        super(stream, decoder, client);
        this.stream = stream;
        this.decoder = decoder;
        this.archive = archive;
        this.initialPosition = InitialPosition.valueOf(client.getProperty(
                ConsumerConfigConstants.STREAM_INITIAL_POSITION,
                ConsumerConfigConstants.DEFAULT_STREAM_INITIAL_POSITION));
        setPeriodicWatermarkAssigner(new Arrivals());
        setShardAssigner((shard, subtasks) -> subtaskOf(shard.getShard().getShardId(), subtasks));
    }

    static int subtaskOf(String shard, int subtasks) {
        return Math.floorMod(shard.hashCode(), subtasks);
    }

    @Override
    public void open(OpenContext context) throws Exception {
        super.open(context);
        MetricGroup metrics = Metrics.of(getRuntimeContext().getMetricGroup());
        metrics.gauge("behindMs", () -> reader == null ? -1 : reader.behindMs());
        metrics.gauge("shardsWaiting", () -> reader == null ? 0 : reader.shardsWaiting());
        if (archive != null) {
            records = getRuntimeContext().getLongCounter("records");
            metrics.gauge("archiveBytes", () -> bytes);
            metrics.gauge("archiveBytesLeft", () -> bytesLeft);
            if (archive.goesOnWithNewFiles()) {
                metrics.gauge("archiveRounds", () -> rounds);
            }
        }
    }

    @Override
    @SuppressWarnings("deprecation") // as the consumer that has to read it makes it
    public void initializeState(FunctionInitializationContext context) throws Exception {
        positions = new SourcePositions(
                stream, context.getOperatorStateStore(), getRuntimeContext().getExecutionConfig(), this::isMine);
        if (archive != null && archive.goesOnWithTheStream()) {
            elders = new ArchiveElders(archive.positions, positions::reached, this::isMine);
        }
        if (archive == null) {
            positions.checkNoArchive();
            super.initializeState(context);
        } else if (archive.goesOnWithTheStream()) {
            positions.startStreamBehind(archive.positions);
            super.initializeState(new Restored(context));
        } else {
            positions.leaveStream();
        }
        boolean isRestored = archive != null || context.isRestored();
        lineage = new ShardLineage(positions.starts(), !isRestored && initialPosition != InitialPosition.TRIM_HORIZON);
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        if (elders != null) {
            elders.snapshot(context.getCheckpointId(), positions::reached);
        }
        if (archive != null && !archiveIsRead) {
            positions.snapshotWithinArchive();
            return;
        }
        super.snapshotState(context);
        if (archive != null) {
            positions.completeStreamSnapshot();
        }
        if (reader != null) {
            lineage.snapshot(context.getCheckpointId(), reader.endedShards());
        }
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
        lineage.completed(checkpoint);
        if (elders != null) {
            elders.completed(checkpoint);
            tellElders();
        }
    }

    private void tellElders() {
        if (!elders.untold().isEmpty()) {
            exchangeElders();
        }
    }

    private void exchangeElders() {
        Set<String> told = elders.untold();
        try {
            elders.heard(told, exchangeEndedShards(told));
        } catch (IOException e) {
            LOG.warn("The JobMaster could not be asked which shards' archives have been read; it is asked again", e);
        }
    }

    @Override
    public void run(SourceContext<Event> context) throws Exception {
        if (archive != null) {
            readArchive(context);
        }
        if (!cancelled && (archive == null || archive.goesOnWithTheStream())) {
            readStream(context);
        }
    }

    @Override
    public void cancel() {
        synchronized (this) {
            cancelled = true;
            notifyAll();
        }
        super.cancel();
    }

    /** What Flink's consumer does, but for what the time is, and for the order of shards. */
    void readStream(SourceContext<Event> context) throws Exception {
        super.run(StreamReader.forwards(context));
    }

    @Override
    protected KinesisDataFetcher<Event> createFetcher(
            List<String> streams,
            SourceContext<Event> context,
            RuntimeContext runtime,
            Properties client,
            KinesisDeserializationSchema<Event> schema) {
        reader = new StreamReader(
                streams,
                context,
                runtime,
                client,
                schema,
                getShardAssigner(),
                getPeriodicWatermarkAssigner(),
                lineage,
                this::exchangeEndedShards,
                ((StreamingRuntimeContext) runtime).isCheckpointingEnabled(),
                beginning().get());
        return reader;
    }

    /**
     * Where a shard is begun of which nothing was read. Behind an archive Flink's consumer takes itself for restored, and
     * would fold what arrived before the time at which the log begins.
     */
    private SentinelSequenceNumber beginning() {
        return archive != null && initialPosition == InitialPosition.AT_TIMESTAMP
                ? SentinelSequenceNumber.SENTINEL_AT_TIMESTAMP_SEQUENCE_NUM
                : SentinelSequenceNumber.SENTINEL_EARLIEST_SEQUENCE_NUM;
    }

    /** As the connector's own tracker of watermarks does, through the JobMaster: every subtask can reach that. */
    Set<String> exchangeEndedShards(Set<String> told) throws IOException {
        return ((StreamingRuntimeContext) getRuntimeContext())
                .getGlobalAggregateManager()
                .updateGlobalAggregate(EndedShards.NAME, new HashSet<>(told), new EndedShards());
    }

    private void readArchive(SourceContext<Event> context) throws Exception {
        files = new ArchiveLanes(archive.path, archive.sinceMs, archive.untilMs, this::hasUnread);
        lanes = new TreeMap<>();
        unsettled = new TreeMap<>();
        heldOnce = new HashSet<>();
        EventDecoder opened =
                InstantiationUtil.clone(decoder, getRuntimeContext().getUserCodeClassLoader());
        opened.open(RuntimeContextInitializationContextAdapters.deserializationAdapter(getRuntimeContext()));
        try {
            if (archive.goesOnWithNewFiles()) {
                while (!cancelled) {
                    takeSettled(files.newFiles());
                    readLanes(context, opened);
                    rounds++;
                    waitForFiles();
                }
            } else {
                if (!archive.goesOnWithTheStream()
                        || archive.positions.keySet().stream().anyMatch(this::hasUnread)) {
                    take(files.newFiles());
                    readLanes(context, opened);
                }
                finishArchive(context);
            }
        } finally {
            for (ArchiveLane lane : lanes.values()) {
                lane.close();
            }
        }
    }

    private void take(SortedMap<String, List<ArchiveFile>> found) throws IOException {
        for (Map.Entry<String, List<ArchiveFile>> shard : found.entrySet()) {
            laneOf(shard.getKey()).add(shard.getValue());
            if (elders != null) {
                elders.begins(shard.getKey(), shard.getValue().get(0).first);
            }
        }
        countBytes();
    }

    /**
     * Takes the files that the listing before this one found, up to the first that is new. A checkpoint finishes
     * several files of a shard one after the other in any order: a file between two others may be seen last. So
     * what the archive holds at some time has been read when the second round that began after it is over. A shard that
     * is new waits a round longer if one of a lesser number has new files, which may be what lay before it.
     */
    private void takeSettled(SortedMap<String, List<ArchiveFile>> found) throws IOException {
        SortedMap<String, List<ArchiveFile>> settled = new TreeMap<>();
        SortedMap<String, List<ArchiveFile>> waiting = new TreeMap<>(found);
        unsettled.forEach((shard, files) -> {
            List<ArchiveFile> fresh = found.getOrDefault(shard, List.of());
            List<ArchiveFile> all = new ArrayList<>(files);
            all.addAll(fresh);
            all.sort(Comparator.comparing(file -> file.first, SequenceOrder.INSTANCE));
            boolean mayHaveParents =
                    !lanes.containsKey(shard) && !found.headMap(shard).isEmpty();
            int ready = mayHaveParents && heldOnce.add(shard)
                    ? 0
                    : fresh.isEmpty() ? all.size() : all.indexOf(fresh.get(0));
            settled.put(shard, all.subList(0, ready));
            waiting.put(shard, all.subList(ready, all.size()));
        });
        settled.values().removeIf(List::isEmpty);
        waiting.values().removeIf(List::isEmpty);
        unsettled = waiting;
        take(settled);
    }

    /** Whether the archive may have something for this subtask in a shard. */
    private boolean hasUnread(String shard) {
        if (!isMine(shard) || !archive.hasLane(shard)) {
            return false;
        }
        String end = archive.end(shard);
        return end == null || SequenceOrder.isAfter(end, positions.reached(shard));
    }

    private ArchiveLane laneOf(String shard) {
        return lanes.computeIfAbsent(
                shard, name -> new ArchiveLane(name, positions.reached(name), archive.end(name), this::foundHole));
    }

    /** Of a range only a part of the files is read: what comes before and between may be in the others. */
    private void foundHole(String hole) throws IOException {
        if (!archive.goesOnWithTheStream() && !archive.goesOnWithNewFiles()) {
            return;
        }
        String lacks = "The archive " + archive.path + " lacks records " + hole;
        if (!archive.despiteHoles) {
            throw new IOException(lacks + ": restore its files from a copy, or go on without them"
                    + " (telefold.archive/despite.holes, --despite-holes)");
        }
        LOG.warn("{}; it is read on without them", lacks);
    }

    /** Shard by shard: the children of a shard that was split have greater numbers, and follow it. */
    private void readLanes(SourceContext<Event> context, EventDecoder opened) throws IOException, InterruptedException {
        for (ArchiveLane lane : lanes.values()) {
            awaitElders(lane.shard());
            long left = lane.bytesLeft();
            while (!cancelled && lane.next()) {
                emit(context, opened, lane);
                if (lane.bytesLeft() != left) {
                    left = lane.bytesLeft();
                    countBytes();
                }
            }
            countBytes();
        }
    }

    private void awaitElders(String shard) throws IOException, InterruptedException {
        while (elders != null && !cancelled && elders.areToBeRead(shard)) {
            if (!((StreamingRuntimeContext) getRuntimeContext()).isCheckpointingEnabled()) {
                elders.covered(positions::reached);
            }
            exchangeElders();
            if (elders.areToBeRead(shard)) {
                pause(ELDERS_POLL_MS);
            }
        }
    }

    private void emit(SourceContext<Event> context, EventDecoder opened, ArchiveLane lane) {
        ArchiveFileReader record = lane.record();
        Event event = isInTime(record.arrival()) ? decode(opened, record, lane.shard()) : null;
        synchronized (context.getCheckpointLock()) {
            if (event != null && isWanted(event)) {
                context.collect(event);
                records.add(1);
            }
            positions.reach(lane.shard(), record.position());
        }
    }

    private Event decode(EventDecoder opened, ArchiveFileReader record, String shard) {
        Event event = opened.deserialize(
                record.data(), record.partitionKey(), record.sequenceNumber(), record.arrival(), stream, shard);
        event.subSequenceNumber = record.subSequenceNumber();
        return event;
    }

    private boolean isInTime(long arrival) {
        return arrival >= archive.sinceMs && arrival < archive.untilMs;
    }

    private boolean isWanted(Event event) {
        return archive.deviceId == null || !event.isRejected() && archive.deviceId.equals(event.deviceId);
    }

    private void finishArchive(SourceContext<Event> context) throws IOException {
        if (cancelled || !archive.goesOnWithTheStream()) {
            return;
        }
        for (String shard : archive.positions.keySet()) {
            if (isMine(shard) && !laneOf(shard).isComplete()) {
                throw new IOException("The archive " + archive.path + " ends at " + positions.reached(shard) + " of "
                        + shard + ", before " + archive.end(shard) + "; give a position that it reaches");
            }
        }
        synchronized (context.getCheckpointLock()) {
            archiveIsRead = true;
        }
        if (!((StreamingRuntimeContext) getRuntimeContext()).isCheckpointingEnabled()) {
            elders.covered(positions::reached);
            tellElders();
        }
    }

    private void waitForFiles() throws InterruptedException {
        pause(archive.pollMs);
    }

    private synchronized void pause(long ms) throws InterruptedException {
        long end = System.nanoTime() + ms * 1_000_000;
        for (long left = ms; left > 0 && !cancelled; left = (end - System.nanoTime()) / 1_000_000) {
            wait(left);
        }
    }

    private void countBytes() {
        long seen = 0;
        long left = 0;
        for (List<ArchiveFile> waiting : unsettled.values()) {
            for (ArchiveFile file : waiting) {
                seen += file.bytes;
                left += file.bytes;
            }
        }
        for (ArchiveLane lane : lanes.values()) {
            seen += lane.bytes();
            left += lane.bytesLeft();
        }
        bytes = seen;
        bytesLeft = left;
    }

    /** Of an archive that no stream follows all shards are the first subtask's: which came of which it does not say. */
    private boolean isMine(String shard) {
        int subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        if (archive != null && !archive.goesOnWithTheStream()) {
            return subtask == 0;
        }
        return subtask == subtaskOf(shard, getRuntimeContext().getTaskInfo().getNumberOfParallelSubtasks());
    }
}
