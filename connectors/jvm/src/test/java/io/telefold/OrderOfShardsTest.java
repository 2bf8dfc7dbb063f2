package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.functions.source.SourceFunction.SourceContext;
import org.apache.flink.streaming.api.operators.StreamSource;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Two subtasks that read a stream whose shards are split and merged. */
@Timeout(60)
class OrderOfShardsTest {

    private static final String A = "shardId-000000000000";
    private static final String B = "shardId-000000000001";
    private static final String C = "shardId-000000000002";
    private static final long LONG_ENOUGH_MS = 1_000;

    @TempDir
    Path folder;

    private final List<Subtask> open = new ArrayList<>();
    private KinesisStub kinesis;

    @BeforeEach
    void create() throws IOException {
        kinesis = new KinesisStub();
    }

    @AfterEach
    void close() throws Exception {
        for (Subtask subtask : open) {
            subtask.end();
        }
        kinesis.close();
        Source.JOB_MASTER.clear();
    }

    @Test
    void theChildIsReadByAnotherSubtaskOnceACheckpointCoversTheEndOfItsParent() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        Subtask parents = subtask(EventSource.subtaskOf(A, 2), null);
        Subtask childs = subtask(EventSource.subtaskOf(B, 2), null);
        parents.await("1");
        kinesis.add(B, A);
        kinesis.put(B, 2);
        Thread.sleep(LONG_ENOUGH_MS);
        parents.checkpoint(1);
        childs.checkpoint(1);
        kinesis.close(A);
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(childs.read).isEmpty();
        parents.snapshot(2);
        childs.snapshot(2);
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(childs.read).isEmpty();
        assertThat(childs.isIdle).isTrue();
        assertThat(parents.isIdle).isFalse();
        parents.complete(2);
        childs.complete(2);
        childs.await("2");
    }

    @Test
    void theChildOfTwoWaitsForBoth() throws Exception {
        kinesis.add(A);
        kinesis.add(B);
        kinesis.add(C, A, B);
        kinesis.put(A, 1);
        kinesis.put(B, 2);
        kinesis.put(C, 3);
        kinesis.close(A);
        Subtask ofA = subtask(EventSource.subtaskOf(A, 2), null);
        Subtask ofB = subtask(EventSource.subtaskOf(B, 2), null);
        ofA.await("1");
        ofB.await("2");
        Thread.sleep(LONG_ENOUGH_MS);
        ofA.checkpoint(1);
        ofB.checkpoint(1);
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(List.of(ofA.read, ofB.read)).containsExactly(List.of("1"), List.of("2"));
        kinesis.close(B);
        Thread.sleep(LONG_ENOUGH_MS);
        ofA.checkpoint(2);
        ofB.checkpoint(2);
        (EventSource.subtaskOf(C, 2) == EventSource.subtaskOf(A, 2) ? ofA : ofB).await("3");
    }

    @Test
    void afterARestoreAChildGoesOnFromTheStateOfItsParent() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        kinesis.close(A);
        Subtask first = subtask(EventSource.subtaskOf(A, 2), null);
        first.await("1");
        Thread.sleep(LONG_ENOUGH_MS);
        OperatorSubtaskState ended = first.snapshot(1);
        first.end();
        kinesis.add(B, A);
        kinesis.put(B, 2);
        subtask(EventSource.subtaskOf(B, 2), ended).await("2");
    }

    @Test
    void aRowSaysItsPlaceInAnAggregateAndWhichOneWasReadBeforeIt() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        kinesis.putAggregate(A, 2, new byte[] {1}, new byte[] {2});
        kinesis.putAggregate(A, 3, new byte[] {3});
        kinesis.put(A, 4);
        Subtask first = subtask(EventSource.subtaskOf(A, 2), null);
        first.await("4");
        assertThat(first.read).containsExactly("1", "2:0", "2:1", "3:0", "4");
        assertThat(first.previous).containsExactly("null", "1", "2:0", "2:1", "3:0");
        OperatorSubtaskState state = first.snapshot(1);
        first.end();
        kinesis.putAggregate(A, 5, new byte[] {1}, new byte[] {2});
        kinesis.add(B);
        kinesis.put(B, 9);
        Subtask second = subtask(EventSource.subtaskOf(A, 2), state);
        second.await("5:1");
        assertThat(second.read).containsExactly("5:0", "5:1");
        assertThat(second.previous).containsExactly("4", "5:0");
        Subtask other = subtask(EventSource.subtaskOf(B, 2), state);
        other.await("9");
        assertThat(other.previous).containsExactly("null");
    }

    @Test
    void theStreamTakesOverFromTheArchiveWithinAnAggregate() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        kinesis.putAggregate(A, 2, new byte[] {1}, new byte[] {2}, new byte[] {3});
        Archive files = new Archive(folder);
        files.write(
                A,
                "part-1",
                Archive.behind(null, Archive.rejected(1, Rows.T)),
                Archive.placed("1", 0L, Archive.rejected(2, Rows.T)),
                Archive.placed("2:0", 1L, Archive.rejected(2, Rows.T)));
        ArchiveReading upTo = ArchiveReading.upTo(files.toString(), Map.of(A, "2:1"));
        Subtask subtask = subtask(EventSource.subtaskOf(A, 2), null, upTo);
        subtask.await("2:2");
        assertThat(subtask.read).containsExactly("1", "2:0", "2:1", "2:2");
        assertThat(subtask.previous.get(3)).isEqualTo("2:1");
    }

    @Test
    void behindAnArchiveAShardWithoutPositionIsReadFromTheTimeAtWhichTheLogBegins() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        kinesis.put(A, 2);
        kinesis.add(B);
        kinesis.put(B, 3);
        kinesis.put(B, 9);
        kinesis.put(B, 10);
        Archive files = new Archive(folder);
        files.write(A, "part-1", Archive.rejected(1, Rows.T));
        ArchiveReading upTo = ArchiveReading.upTo(files.toString(), Map.of(A, "1"));
        Subtask ofB = new Subtask(new Source(kinesis.url(), upTo, 9), EventSource.subtaskOf(B, 2), null);
        open.add(ofB);
        ofB.await("10");
        assertThat(ofB.read).containsExactly("9", "10");
        assertThat(ofB.previous).containsExactly("null", "9");
        Subtask ofA = new Subtask(new Source(kinesis.url(), upTo, 9), EventSource.subtaskOf(A, 2), null);
        open.add(ofA);
        ofA.await("2");
    }

    private Subtask subtask(int index, OperatorSubtaskState restored) throws Exception {
        return subtask(index, restored, null);
    }

    private Subtask subtask(int index, OperatorSubtaskState restored, ArchiveReading archive) throws Exception {
        Subtask subtask = new Subtask(new Source(kinesis.url(), archive), index, restored);
        open.add(subtask);
        return subtask;
    }

    /** The source with a JobMaster that all of this process share. */
    private static final class Source extends EventSource {

        static final Set<String> JOB_MASTER = new HashSet<>();

        Source(String url, ArchiveReading archive) throws IOException {
            this(client(url), archive);
        }

        /** Begins so many seconds after {@link KinesisStub#BEGIN}. */
        Source(String url, ArchiveReading archive, int beginning) throws IOException {
            this(beginningAt(client(url), beginning), archive);
        }

        private Source(Properties client, ArchiveReading archive) throws IOException {
            super("stream", Archive.decoder(), client, archive);
            setPeriodicWatermarkAssigner(new ShardEventTime(1_000, 10_000));
        }

        @Override
        Set<String> exchangeEndedShards(Set<String> told) {
            synchronized (JOB_MASTER) {
                JOB_MASTER.addAll(told);
                return new HashSet<>(JOB_MASTER);
            }
        }

        private static Properties beginningAt(Properties client, int seconds) {
            client.setProperty("flink.stream.initpos", "AT_TIMESTAMP");
            client.setProperty("flink.stream.initpos.timestamp", (KinesisStub.BEGIN + seconds) + ".0");
            return client;
        }

        private static Properties client(String url) {
            Properties client = new Properties();
            client.setProperty("aws.region", "eu-west-1");
            client.setProperty("aws.endpoint", url);
            client.setProperty("aws.credentials.provider", "BASIC");
            client.setProperty("aws.credentials.provider.basic.accesskeyid", "a");
            client.setProperty("aws.credentials.provider.basic.secretkey", "b");
            client.setProperty("flink.stream.initpos", "TRIM_HORIZON");
            client.setProperty("flink.shard.idle.interval", "1000");
            client.setProperty("flink.shard.discovery.intervalmillis", "50");
            return client;
        }
    }

    private static final class Subtask implements SourceContext<Row> {

        private final List<String> read = new CopyOnWriteArrayList<>();
        private final List<String> previous = new CopyOnWriteArrayList<>();
        private final Source source;
        private final AbstractStreamOperatorTestHarness<Row> harness;
        private final CompletableFuture<Void> running;
        private volatile boolean isIdle;

        Subtask(Source source, int index, OperatorSubtaskState restored) throws Exception {
            this.source = source;
            harness = new AbstractStreamOperatorTestHarness<>(new StreamSource<>(source), 8, 2, index);
            harness.getStreamConfig().setCheckpointingEnabled(true);
            harness.setup(EventRow.type().createSerializer(harness.getExecutionConfig()));
            if (restored != null) {
                harness.initializeState(
                        AbstractStreamOperatorTestHarness.repartitionOperatorState(restored, 8, 1, 2, index));
            }
            harness.open();
            running = CompletableFuture.runAsync(this::run);
        }

        private void run() {
            try {
                source.run(this);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }

        void await(String sequenceNumber) throws InterruptedException {
            while (!read.contains(sequenceNumber)) {
                if (running.isDone()) {
                    running.join();
                }
                Thread.sleep(5);
            }
        }

        OperatorSubtaskState snapshot(long checkpoint) throws Exception {
            synchronized (getCheckpointLock()) {
                return harness.snapshot(checkpoint, checkpoint);
            }
        }

        void complete(long checkpoint) throws Exception {
            harness.notifyOfCompletedCheckpoint(checkpoint);
        }

        void checkpoint(long checkpoint) throws Exception {
            snapshot(checkpoint);
            complete(checkpoint);
        }

        void end() throws Exception {
            source.cancel();
            running.join();
            harness.close();
        }

        @Override
        public void collect(Row row) {
            collectWithTimestamp(row, 0);
        }

        @Override
        public void collectWithTimestamp(Row row, long timestamp) {
            read.add(EventRow.position(row));
            previous.add(String.valueOf(row.getField(EventRow.PREVIOUS)));
        }

        @Override
        public void emitWatermark(Watermark mark) {}

        @Override
        public void markAsTemporarilyIdle() {
            isIdle = true;
        }

        @Override
        public Object getCheckpointLock() {
            return harness.getCheckpointLock();
        }

        @Override
        public void close() {}
    }
}
