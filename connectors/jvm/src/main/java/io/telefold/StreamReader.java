package io.telefold;

import java.util.List;
import java.util.Properties;
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

/**
 * Flink's own reader of shards, whose watermark goes on with the wall clock once the stream has been read to its end and
 * nothing more comes: else a fleet that falls silent as a whole would never be seen to. While the job catches up, and
 * while Kinesis does not answer, time is what the events say, and waits for those of every shard.
 */
final class StreamReader extends KinesisDataFetcher<Row> {

    private final SourceContext<Row> context;
    private final ShardTips tips;
    private final long behindMs;

    /** At the tip of the stream the watermark is {@code behindMs} behind the clock, once nothing came for {@code idleMs}. */
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
            long behindMs) {
        super(streams, context, runtime, client, decoder, shardAssigner, eventTime, tracker);
        this.context = context;
        this.tips = new ShardTips(idleMs);
        this.behindMs = behindMs;
    }

    @Override
    protected RecordPublisher createRecordPublisher(
            SequenceNumber from, Properties client, MetricGroup metrics, StreamShardHandle handle)
            throws InterruptedException {
        RecordPublisher publisher = super.createRecordPublisher(from, client, metrics, handle);
        String shard = handle.getShard().getShardId();
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
            }
            return result;
        };
    }

    @Override
    protected void emitWatermark() {
        long now = getCurrentTimeMillis();
        List<String> shards = openShards();
        if (tips.areReached(shards, now)) {
            context.emitWatermark(new Watermark(now - behindMs));
        } else if (!tips.areHidden(shards, now)) {
            super.emitWatermark();
        }
    }

    private List<String> openShards() {
        return getSubscribedShardsState().stream()
                .filter(state -> !SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM
                        .get()
                        .equals(state.getLastProcessedSequenceNum()))
                .map(state -> state.getStreamShardHandle().getShard().getShardId())
                .collect(Collectors.toList());
    }

    /**
     * A context whose time never goes back: events that come after all were sent before that. Once closed it takes no
     * time at all, since the consumer's timer still fires after its end, and would fail a job that is being stopped.
     */
    static SourceContext<Row> forwards(SourceContext<Row> context) {
        return new Forwards(context);
    }

    private static final class Forwards implements SourceContext<Row> {

        private final SourceContext<Row> context;
        private long time = Long.MIN_VALUE;
        private boolean closed;

        Forwards(SourceContext<Row> context) {
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
                if (!closed) {
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
