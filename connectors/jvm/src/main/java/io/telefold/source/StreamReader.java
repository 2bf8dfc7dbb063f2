package io.telefold.source;

import static org.apache.flink.streaming.connectors.kinesis.config.ConsumerConfigConstants.RECORD_PUBLISHER_TYPE;
import static org.apache.flink.streaming.connectors.kinesis.config.ConsumerConfigConstants.RecordPublisherType.EFO;

import io.telefold.event.Event;
import io.telefold.event.SequenceOrder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.kinesis.shaded.com.amazonaws.services.kinesis.clientlibrary.types.UserRecord;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.streaming.api.functions.AssignerWithPeriodicWatermarks;
import org.apache.flink.streaming.api.functions.source.SourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.connectors.kinesis.KinesisShardAssigner;
import org.apache.flink.streaming.connectors.kinesis.internals.KinesisDataFetcher;
import org.apache.flink.streaming.connectors.kinesis.internals.publisher.RecordBatch;
import org.apache.flink.streaming.connectors.kinesis.internals.publisher.RecordPublisher;
import org.apache.flink.streaming.connectors.kinesis.internals.publisher.RecordPublisherFactory;
import org.apache.flink.streaming.connectors.kinesis.internals.publisher.fanout.FanOutRecordPublisherFactory;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.StreamShardHandle;
import org.apache.flink.streaming.connectors.kinesis.proxy.KinesisProxyV2Factory;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Flink's own reader of shards, whose watermark is the time of the log: up to which arrival all shards that the subtask has
 * to read have been read, less {@link #SLACK_MS}. So it follows arrivals while the job catches up, and the clock at the
 * tips of the shards, whether records come or not; {@link ShardTimes} has the rule. No event has a say in it.
 *
 * <p>A shard that came of a split or a merge is read when {@link ShardLineage} releases it. From the end of its parents
 * until then time stands still in the subtask that read them, and from when it is listed in the one that is to read it.
 */
@SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
final class StreamReader extends KinesisDataFetcher<Event> {

    private static final Logger LOG = LoggerFactory.getLogger(StreamReader.class);

    private static final SequenceNumber OLDEST = SentinelSequenceNumber.SENTINEL_EARLIEST_SEQUENCE_NUM.get();
    private static final SequenceNumber ENDED = SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get();

    /** Kinesis says when a record arrived approximately, and may let it be read a little later. */
    static final long SLACK_MS = 1_000;

    /** How subtasks learn of shards that have ended for good. */
    interface News {

        /** Tells the other subtasks of these shards, and returns all that any has told of. IOException if it cannot. */
        Set<String> exchange(Set<String> told) throws IOException;
    }

    private final SourceFunction.SourceContext<Event> context;
    private final ShardTimes times = new ShardTimes();
    private final ShardLineage lineage;
    private final News news;
    private final boolean withCheckpoints;
    private final SequenceNumber beginning;
    private final List<StreamShardHandle> keptBack = new ArrayList<>();
    private final Map<Integer, SequenceNumber> lastRead = new ConcurrentHashMap<>();
    private volatile int shardsKeptBack;

    /** With enhanced fan-out. Without an initial value, which would take back what the super-constructor made it. */
    private Subscriptions subscriptions;

    /** When the last listing began whose shards this knows; Long.MIN_VALUE before the first. */
    private volatile long listedAt = Long.MIN_VALUE;

    /** A shard of which nothing was read is begun at {@code beginning}: Flink's own reader begins at its oldest record. */
    StreamReader(
            List<String> streams,
            SourceFunction.SourceContext<Event> context,
            RuntimeContext runtime,
            Properties client,
            KinesisDeserializationSchema<Event> decoder,
            KinesisShardAssigner shardAssigner,
            AssignerWithPeriodicWatermarks<Event> stamps,
            ShardLineage lineage,
            News news,
            boolean withCheckpoints,
            SequenceNumber beginning) {
        super(streams, context, runtime, client, decoder, noting(lineage, shardAssigner), stamps, null);
        this.context = context;
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
        long now = getCurrentTimeMillis();
        keptBack.addAll(super.discoverNewShardsToSubscribe());
        if (!withCheckpoints) {
            lineage.covered(endedShards());
        }
        lineage.release(getCurrentTimeMillis());
        if (lineage.hasToAsk()) {
            exchangeNews();
            lineage.release(getCurrentTimeMillis());
        }
        List<StreamShardHandle> released = keptBack.stream()
                .filter(handle -> lineage.isReleased(idOf(handle)))
                .collect(Collectors.toList());
        released.stream()
                .map(StreamReader::idOf)
                .filter(shard -> !lineage.hasEndedForGood(shard))
                .forEach(times::begun);
        keptBack.removeAll(released);
        shardsKeptBack = keptBack.size();
        listedAt = now;
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
        return listedAt == Long.MIN_VALUE || shardsWaiting() > 0 ? -1 : times.behindMs();
    }

    /** Shards of which this subtask knows that they are to be read, but are not read yet. */
    int shardsWaiting() {
        return shardsKeptBack + lineage.withoutSuccessors(getCurrentTimeMillis());
    }

    /** Called before this is made; what it returns is used after that. */
    @Override
    protected RecordPublisherFactory createRecordPublisherFactory() {
        Properties client = getConsumerConfiguration();
        if (!EFO.name().equals(client.getProperty(RECORD_PUBLISHER_TYPE))) {
            return super.createRecordPublisherFactory();
        }
        subscriptions = new Subscriptions(
                KinesisProxyV2Factory.createKinesisProxyAsyncV2(client), this::reached, this::getCurrentTimeMillis);
        return new FanOutRecordPublisherFactory(subscriptions);
    }

    private void reached(String shard, long time) {
        if (!lineage.hasChildren(shard)) {
            times.reached(shard, time);
        }
    }

    @Override
    protected RecordPublisher createRecordPublisher(
            SequenceNumber from, Properties client, MetricGroup metrics, StreamShardHandle handle)
            throws InterruptedException {
        SequenceNumber start = OLDEST.equals(from) ? beginning : from;
        RecordPublisher publisher = super.createRecordPublisher(start, client, metrics, handle);
        String shard = idOf(handle);
        return batches -> {
            times.asked(shard, getCurrentTimeMillis());
            RecordPublisher.RecordPublisherRunResult result = publisher.run(batch -> {
                SequenceNumber read = batches.accept(batch);
                tellTimes(shard, batch);
                if (subscriptions != null) {
                    subscriptions.handedOn(shard);
                }
                return read;
            });
            if (result == RecordPublisher.RecordPublisherRunResult.COMPLETE) {
                lineage.ended(shard);
                times.ended(shard);
            } else if (!lineage.hasChildren(shard)) {
                times.wasOpen(shard);
            }
            return result;
        };
    }

    /** To be called when the batch has been handed on. One may hold a record that holds none for this shard. */
    private void tellTimes(String shard, RecordBatch batch) {
        long behindMs = batch.getMillisBehindLatest() == null ? ShardTimes.UNKNOWN : batch.getMillisBehindLatest();
        int records = batch.getDeaggregatedRecordSize();
        if (records > 0) {
            times.read(shard, arrivalOf(batch.getDeaggregatedRecords().get(records - 1)), behindMs);
        } else if (batch.getAggregatedRecordSize() == 0 || behindMs == 0) {
            times.readNothing(shard, behindMs);
        }
    }

    private static long arrivalOf(UserRecord record) {
        return record.getApproximateArrivalTimestamp().getTime();
    }

    /** Called by the one thread that reads the shard; its state moves on later, when the event has been emitted. */
    @Override
    protected void emitRecordAndUpdateState(Event event, long timestamp, int shard, SequenceNumber read) {
        SequenceNumber before = lastRead.put(shard, read);
        event.previous = SequenceOrder.positionOf(before == null ? startOf(shard) : before);
        event.subSequenceNumber = read.isAggregated() ? (Long) read.getSubSequenceNumber() : null;
        super.emitRecordAndUpdateState(event, timestamp, shard, read);
    }

    private SequenceNumber startOf(int shard) {
        synchronized (context.getCheckpointLock()) {
            return getSubscribedShardsState().get(shard).getLastProcessedSequenceNum();
        }
    }

    /**
     * A shard that no listing showed yet may have what arrived since the last one. A subtask that has nothing to read is as
     * far as that, rather than idle: whoever was idle is not waited for until it has caught up with the others.
     */
    @Override
    protected void emitWatermark() {
        // In this order: what is released has begun, and what has ended is without successors, before it is seen to be.
        long listed = listedAt;
        boolean isKeptBack = shardsKeptBack > 0;
        long read = times.isEmpty() ? Long.MAX_VALUE : times.time();
        long time = Math.min(read == Long.MIN_VALUE ? read : read - SLACK_MS, listed);
        if (!isKeptBack && lineage.withoutSuccessors(getCurrentTimeMillis()) == 0 && time > Long.MIN_VALUE) {
            context.emitWatermark(new Watermark(time));
        }
    }

    /** Those that this subtask has read to their ends, in this run or an earlier one. */
    List<String> endedShards() {
        synchronized (context.getCheckpointLock()) {
            return getSubscribedShardsState().stream()
                    .filter(state -> ENDED.equals(state.getLastProcessedSequenceNum()))
                    .map(state -> idOf(state.getStreamShardHandle()))
                    .collect(Collectors.toList());
        }
    }

    private static String idOf(StreamShardHandle handle) {
        return handle.getShard().getShardId();
    }

    /**
     * A context whose time never goes back, and that is never idle, which Flink's reader takes a subtask without shards for.
     * Once closed it takes no time at all, since the consumer's timer still fires after its end, and would fail a job that
     * is being stopped.
     */
    static SourceFunction.SourceContext<Event> forwards(SourceFunction.SourceContext<Event> context) {
        return new Forwards(context);
    }

    private static final class Forwards implements SourceFunction.SourceContext<Event> {

        private final SourceFunction.SourceContext<Event> context;
        private long time = Long.MIN_VALUE;
        private boolean closed;

        Forwards(SourceFunction.SourceContext<Event> context) {
            this.context = context;
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
        public void collect(Event event) {
            context.collect(event);
        }

        @Override
        public void collectWithTimestamp(Event event, long timestamp) {
            context.collectWithTimestamp(event, timestamp);
        }

        @Override
        public void markAsTemporarilyIdle() {}

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
