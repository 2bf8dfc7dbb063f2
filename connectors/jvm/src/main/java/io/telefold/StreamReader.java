package io.telefold;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.AssignerWithPeriodicWatermarks;
import org.apache.flink.streaming.api.functions.source.SourceFunction.SourceContext;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.connectors.kinesis.KinesisShardAssigner;
import org.apache.flink.streaming.connectors.kinesis.internals.KinesisDataFetcher;
import org.apache.flink.streaming.connectors.kinesis.internals.publisher.RecordPublisher;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.StreamShardHandle;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.streaming.connectors.kinesis.util.WatermarkTracker;
import org.apache.flink.types.Row;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flink's own reader of shards, whose watermark goes on with the wall clock once the stream has been read to its end and
 * nothing more comes: else a fleet that falls silent as a whole would never be seen to. While the job catches up, and
 * while Kinesis does not answer, time is what the events say, and waits for those of every shard.
 *
 * <p>A shard that came of a split or a merge is read when {@link ShardLineage} releases it. From the end of its parents
 * until then time stands still in the subtask that read them, and with it downstream: the events that would make it
 * go on are in a shard that nobody reads yet.
 */
final class StreamReader extends KinesisDataFetcher<Row> {

    private static final Logger LOG = LoggerFactory.getLogger(StreamReader.class);

    private static final SequenceNumber OLDEST = SentinelSequenceNumber.SENTINEL_EARLIEST_SEQUENCE_NUM.get();
    private static final SequenceNumber ENDED = SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get();

    /** How subtasks learn of shards that have ended for good. */
    interface News {

        /** Tells the other subtasks of these shards, and returns all that any has told of. IOException if it cannot. */
        Set<String> exchange(Set<String> told) throws IOException;
    }

    private final SourceContext<Row> context;
    private final ShardTips tips;
    private final long behindMs;
    private final ShardLineage lineage;
    private final News news;
    private final boolean withCheckpoints;
    private final SequenceNumber beginning;
    private final List<StreamShardHandle> keptBack = new ArrayList<>();
    private final Map<Integer, SequenceNumber> lastRead = new ConcurrentHashMap<>();
    private volatile int shardsKeptBack;
    private volatile boolean hasListed;

    /**
     * At the tip of the stream the watermark is {@code behindMs} behind the clock, once nothing came for {@code idleMs}. A
     * shard of which nothing was read is begun at {@code beginning}, where Flink's own reader begins at its oldest record.
     */
    StreamReader(
            List<String> streams,
            SourceContext<Row> context,
            RuntimeContext runtime,
            Properties client,
            KinesisDeserializationSchema<Row> decoder,
            KinesisShardAssigner shardAssigner,
            AssignerWithPeriodicWatermarks<Row> eventTime,
            WatermarkTracker tracker,
            long idleMs,
            long behindMs,
            ShardLineage lineage,
            News news,
            boolean withCheckpoints,
            SequenceNumber beginning) {
        super(streams, context, runtime, client, decoder, noting(lineage, shardAssigner), eventTime, tracker);
        this.context = context;
        this.tips = new ShardTips(idleMs);
        this.behindMs = behindMs;
        this.lineage = lineage;
        this.news = news;
        this.withCheckpoints = withCheckpoints;
        this.beginning = beginning;
    }

    /** Flink asks the assigner for each shard of each listing. */
    private static KinesisShardAssigner noting(ShardLineage lineage, KinesisShardAssigner assigner) {
        return (handle, subtasks) -> {
            lineage.listed(
                    idOf(handle),
                    handle.getShard().getParentShardId(),
                    handle.getShard().getAdjacentParentShardId());
            return assigner.assign(handle, subtasks);
        };
    }

    /** Those of this subtask that were released since the last call; Flink asks before it begins, and then again. */
    @Override
    public List<StreamShardHandle> discoverNewShardsToSubscribe() throws InterruptedException {
        keptBack.addAll(super.discoverNewShardsToSubscribe());
        if (!withCheckpoints) {
            lineage.covered(endedShards());
        }
        lineage.release(getCurrentTimeMillis());
        if (lineage.hasToAsk()) {
            exchangeNews();
            lineage.release(getCurrentTimeMillis());
        }
        List<StreamShardHandle> released =
                keptBack.stream().filter(handle -> lineage.isReleased(idOf(handle))).collect(Collectors.toList());
        released.stream().map(StreamReader::idOf).filter(shard -> !lineage.hasEndedForGood(shard)).forEach(tips::begun);
        keptBack.removeAll(released);
        shardsKeptBack = keptBack.size();
        hasListed = true;
        return released;
    }

    private void exchangeNews() throws InterruptedException {
        Set<String> told = lineage.untold();
        try {
            lineage.heard(told, news.exchange(told));
        } catch (IOException e) {
            if (e.getCause() instanceof InterruptedException) {
                throw (InterruptedException) e.getCause();
            }
            LOG.warn("The JobMaster could not be asked which shards have ended; it is asked again", e);
        }
    }

    /** How far this subtask is behind the newest records; -1 while that is not known. Takes no lock. */
    long behindMs() {
        return !hasListed || shardsWaiting() > 0 ? -1 : tips.behindMs();
    }

    /** Shards of which this subtask knows that they are to be read, but are not read yet. */
    int shardsWaiting() {
        return shardsKeptBack + lineage.withoutSuccessors(getCurrentTimeMillis());
    }

    @Override
    protected RecordPublisher createRecordPublisher(
            SequenceNumber from, Properties client, MetricGroup metrics, StreamShardHandle handle)
            throws InterruptedException {
        SequenceNumber start = OLDEST.equals(from) ? beginning : from;
        RecordPublisher publisher = super.createRecordPublisher(start, client, metrics, handle);
        String shard = idOf(handle);
        return batches -> {
            RecordPublisher.RecordPublisherRunResult result = publisher.run(batch -> {
                SequenceNumber read = batches.accept(batch);
                Long behind = batch.getMillisBehindLatest();
                tips.polled(
                        shard,
                        batch.getDeaggregatedRecordSize(),
                        behind == null ? Long.MAX_VALUE : behind,
                        getCurrentTimeMillis());
                return read;
            });
            if (result == RecordPublisher.RecordPublisherRunResult.COMPLETE) {
                tips.ended(shard);
                lineage.ended(shard);
            }
            return result;
        };
    }

    /** Called by the one thread that reads the shard; its state moves on later, when the row has been emitted. */
    @Override
    protected void emitRecordAndUpdateState(Row row, long timestamp, int shard, SequenceNumber read) {
        SequenceNumber before = lastRead.put(shard, read);
        row.setField(EventRow.PREVIOUS, SequenceOrder.positionOf(before == null ? startOf(shard) : before));
        row.setField(EventRow.SUB_SEQUENCE_NUMBER, read.isAggregated() ? (Long) read.getSubSequenceNumber() : null);
        super.emitRecordAndUpdateState(row, timestamp, shard, read);
    }

    private SequenceNumber startOf(int shard) {
        synchronized (context.getCheckpointLock()) {
            return getSubscribedShardsState().get(shard).getLastProcessedSequenceNum();
        }
    }

    @Override
    protected void emitWatermark() {
        long now = getCurrentTimeMillis();
        List<String> shards = shards(false);
        if (lineage.withoutSuccessors(now) > 0) {
            return;
        }
        if (tips.areReached(shards, now)) {
            context.emitWatermark(new Watermark(now - behindMs));
        } else if (!tips.areHidden(shards, now)) {
            super.emitWatermark();
        }
    }

    /** Those that this subtask has read to their ends, in this run or an earlier one. */
    List<String> endedShards() {
        return shards(true);
    }

    private List<String> shards(boolean ended) {
        synchronized (context.getCheckpointLock()) {
            return getSubscribedShardsState().stream()
                    .filter(state -> ended == ENDED.equals(state.getLastProcessedSequenceNum()))
                    .map(state -> idOf(state.getStreamShardHandle()))
                    .collect(Collectors.toList());
        }
    }

    private static String idOf(StreamShardHandle handle) {
        return handle.getShard().getShardId();
    }

    /**
     * A context whose time never goes back: events that come after all were sent before that. Once closed it takes no
     * time at all, since the consumer's timer still fires after its end, and would fail a job that is being stopped.
     * While {@code waits} it is not idle.
     */
    static SourceContext<Row> forwards(SourceContext<Row> context, BooleanSupplier waits) {
        return new Forwards(context, waits);
    }

    private static final class Forwards implements SourceContext<Row> {

        private final SourceContext<Row> context;
        private final BooleanSupplier waits;
        private long time = Long.MIN_VALUE;
        private boolean closed;

        Forwards(SourceContext<Row> context, BooleanSupplier waits) {
            this.context = context;
            this.waits = waits;
        }

        @Override
        public void emitWatermark(Watermark mark) {
            synchronized (context.getCheckpointLock()) {
                if (!closed && mark.getTimestamp() > time) {
                    time = mark.getTimestamp();
                    context.emitWatermark(mark);
                }
            }
        }

        @Override
        public void collect(Row row) {
            context.collect(row);
        }

        @Override
        public void collectWithTimestamp(Row row, long timestamp) {
            context.collectWithTimestamp(row, timestamp);
        }

        @Override
        public void markAsTemporarilyIdle() {
            synchronized (context.getCheckpointLock()) {
                if (!closed && !waits.getAsBoolean()) {
                    context.markAsTemporarilyIdle();
                }
            }
        }

        @Override
        public Object getCheckpointLock() {
            return context.getCheckpointLock();
        }

        @Override
        public void close() {
            synchronized (context.getCheckpointLock()) {
                closed = true;
                context.close();
            }
        }
    }
}
