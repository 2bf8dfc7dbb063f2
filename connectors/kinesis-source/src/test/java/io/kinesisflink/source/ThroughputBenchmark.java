package io.kinesisflink.source;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorRequest;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorResponse;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * How many records a second one thread reads where Kinesis answers at once: what the source itself costs. Takes how many
 * records it reads (20 000 000 by default), of 200 bytes; a second run reads them in aggregates of 50.
 */
final class ThroughputBenchmark {

    private static final int BATCH = 10_000;
    private static final int AGGREGATED = 50;
    private static final int BYTES = 200;

    private ThroughputBenchmark() {}

    public static void main(String[] arguments) throws Exception {
        long records = arguments.length == 0 ? 20_000_000 : Long.parseLong(arguments[0]);
        for (boolean isAggregated : new boolean[] {false, true, false, true}) {
            System.out.printf(
                    "%s: %,d records/s%n",
                    isAggregated ? "in aggregates of " + AGGREGATED : "one by one", perSecond(records, isAggregated));
        }
    }

    private static long perSecond(long records, boolean isAggregated) throws Exception {
        Counting output = new Counting();
        TaskLoop loop = new TaskLoop() {
            @Override
            public void later(long delayMs, Runnable task) {
                run(task);
            }
        };
        Settings settings = KinesisSource.builder("s", new AsItIs()).timeOfLog().settings();
        ShardReader<KinesisRecord> reader = new ShardReader<>(
                new ModelReaderContext(0, 1, event -> {}), settings, new AsItIs(), new Full(isAggregated), loop);
        List<ShardSplit> splits = new ArrayList<>();
        for (int shard = 0; shard < 4; shard++) {
            splits.add(new ShardSplit(
                    "shardId-00000000000" + shard,
                    ShardPosition.oldest(),
                    "0",
                    ModelKinesis.LAST_HASH_KEY.toString(),
                    ShardSplit.UNKNOWN,
                    ShardSplit.UNKNOWN));
        }
        reader.addSplits(splits);
        long began = System.nanoTime();
        while (output.records < records) {
            reader.pollNext(output);
        }
        long nanos = System.nanoTime() - began;
        reader.close();
        return records * 1_000_000_000L / nanos;
    }

    /** A shard that never ends; its answers are the same but for their numbers. */
    private static final class Full implements KinesisAsyncClient {

        private final byte[] data;
        private final int records;
        private long number = 1_000_000_000_000_000_000L;

        private Full(boolean isAggregated) {
            List<Aggregate.UserRecord> users = new ArrayList<>();
            for (int i = 0; i < AGGREGATED; i++) {
                users.add(new Aggregate.UserRecord("key" + i, null, new byte[BYTES]));
            }
            data = isAggregated ? Aggregates.of(users) : new byte[BYTES];
            records = isAggregated ? BATCH / AGGREGATED : BATCH;
        }

        @Override
        public CompletableFuture<GetShardIteratorResponse> getShardIterator(GetShardIteratorRequest request) {
            return CompletableFuture.completedFuture(
                    GetShardIteratorResponse.builder().shardIterator("i").build());
        }

        @Override
        public CompletableFuture<GetRecordsResponse> getRecords(GetRecordsRequest request) {
            List<Record> made = new ArrayList<>(records);
            Instant now = Instant.now();
            for (int i = 0; i < records; i++) {
                made.add(Record.builder()
                        .sequenceNumber(Long.toString(number++))
                        .partitionKey("key" + i % 100)
                        .approximateArrivalTimestamp(now)
                        .data(SdkBytes.fromByteArrayUnsafe(data))
                        .build());
            }
            return CompletableFuture.completedFuture(GetRecordsResponse.builder()
                    .records(made)
                    .millisBehindLatest(1_000L)
                    .nextShardIterator("i")
                    .build());
        }

        @Override
        public String serviceName() {
            return "kinesis";
        }

        @Override
        public void close() {}
    }

    private static final class Counting implements ReaderOutput<KinesisRecord> {

        private long records;

        @Override
        public void collect(KinesisRecord record) {
            records++;
        }

        @Override
        public void collect(KinesisRecord record, long timestamp) {
            records++;
        }

        @Override
        public void emitWatermark(Watermark mark) {}

        @Override
        public void markIdle() {}

        @Override
        public void markActive() {}

        @Override
        public SourceOutput<KinesisRecord> createOutputForSplit(String split) {
            return this;
        }

        @Override
        public void releaseOutputForSplit(String split) {}
    }
}
