package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.archive.Archive;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.Events;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.functions.source.SourceFunction;
import org.apache.flink.streaming.api.operators.StreamSource;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.connectors.kinesis.internals.KinesisDataFetcher;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
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
        long held = parents.time();
        long heldForTheChild = childs.time();
        parents.complete(2);
        childs.complete(2);
        childs.await("2");
        assertThat(parents.time()).isEqualTo(held);
        assertThat(childs.timeBefore("2")).isEqualTo(heldForTheChild);
    }

    @Test
    void atTheTipTimeIsThatOfTheClockLessASecondWhetherRecordsComeOrNot() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        Subtask ofA = subtask(EventSource.subtaskOf(A, 2), null);
        Subtask ofNone = subtask(EventSource.subtaskOf(B, 2), null);
        ofA.await("1");
        long began = System.currentTimeMillis();
        ofA.awaitTime(began - StreamReader.SLACK_MS);
        ofNone.awaitTime(began - StreamReader.SLACK_MS);
        for (int number = 2; number < 20; number++) {
            kinesis.putNow(A, number);
            Thread.sleep(50);
        }
        ofA.awaitTime(began);
        ofNone.awaitTime(began);
        assertThat(ofA.time()).isLessThanOrEqualTo(System.currentTimeMillis() - StreamReader.SLACK_MS);
    }

    @Test
    void whileItCatchesUpTimeIsThatOfTheNewestRecordRead() throws Exception {
        kinesis.add(A);
        kinesis.put(A, 1);
        kinesis.put(A, 2);
        kinesis.saysBehind(A, 60_000);
        Subtask subtask = subtask(EventSource.subtaskOf(A, 2), null);
        subtask.await("2");
        subtask.awaitTime((KinesisStub.BEGIN + 2) * 1_000 - StreamReader.SLACK_MS);
        assertThat(subtask.time()).isLessThanOrEqualTo(System.currentTimeMillis() - 60_000 - StreamReader.SLACK_MS);
        kinesis.saysBehind(A, 0);
        subtask.awaitTime(System.currentTimeMillis() - StreamReader.SLACK_MS);
    }

    @Test
    void aShardThatDoesNotAnswerHoldsTime() throws Exception {
        kinesis.add(A);
        kinesis.add(C);
        kinesis.fails(C, true);
        assertThat(EventSource.subtaskOf(C, 2)).isEqualTo(EventSource.subtaskOf(A, 2));
        Subtask subtask = subtask(EventSource.subtaskOf(A, 2), null);
        kinesis.put(A, 1);
        subtask.await("1");
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(subtask.time()).isEqualTo(Long.MIN_VALUE);
        kinesis.fails(C, false);
        subtask.awaitTime(System.currentTimeMillis() - StreamReader.SLACK_MS);
        kinesis.fails(C, true);
        Thread.sleep(LONG_ENOUGH_MS);
        long held = subtask.time();
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(subtask.time()).isEqualTo(held);
        // Flink's reader does not end while it tries again.
        kinesis.fails(C, false);
    }

    /** A closed shard may be read to its last record, and nothing be behind, before its end is known. */
    @Test
    void whereAShardWasSplitTimeGoesNoFurtherThanItsRecords() throws Exception {
        kinesis.add(A);
        kinesis.add(B, A);
        kinesis.put(A, 1);
        Subtask parents = subtask(EventSource.subtaskOf(A, 2), null);
        Subtask childs = subtask(EventSource.subtaskOf(B, 2), null);
        parents.await("1");
        Thread.sleep(LONG_ENOUGH_MS);
        assertThat(parents.time()).isEqualTo((KinesisStub.BEGIN + 1) * 1_000 - StreamReader.SLACK_MS);
        assertThat(childs.time()).isEqualTo(Long.MIN_VALUE);
    }

    @Test
    void noRecordComesBehindTheTimeOfItsSubtask() throws Exception {
        kinesis.add(A);
        Subtask first = subtask(EventSource.subtaskOf(A, 2), null);
        Subtask second = subtask(EventSource.subtaskOf(B, 2), null);
        second.awaitTime(System.currentTimeMillis() - StreamReader.SLACK_MS);
        int number = 0;
        for (; number < 60; number++) {
            kinesis.putNow(A, number);
            Thread.sleep(20);
        }
        kinesis.close(A);
        kinesis.add(B, A);
        kinesis.add(C, A);
        for (; number < 160; number++) {
            kinesis.putNow(number % 2 == 0 ? B : C, number);
            Thread.sleep(20);
            if (number % 20 == 0) {
                first.checkpoint(number);
                second.checkpoint(number);
            }
        }
        second.await("158");
        first.await("159");
        assertThat(first.behindTime).isEmpty();
        assertThat(second.behindTime).isEmpty();
        assertThat(first.time()).isGreaterThan(Long.MIN_VALUE);
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
                Archive.behind(null, Archive.rejected(1, Events.T)),
                Archive.placed("1", 0L, Archive.rejected(2, Events.T)),
                Archive.placed("2:0", 1L, Archive.rejected(2, Events.T)));
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
        files.write(A, "part-1", Archive.rejected(1, Events.T));
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

        private static final long serialVersionUID = 1L;

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
        }

        private volatile StreamReader reader;

        /** Flink's own timer is one of the task's, of which there is none here. */
        void tellTime() {
            if (reader != null) {
                reader.emitWatermark();
            }
        }

        @Override
        protected KinesisDataFetcher<Event> createFetcher(
                List<String> streams,
                SourceContext<Event> context,
                RuntimeContext runtime,
                Properties client,
                KinesisDeserializationSchema<Event> schema) {
            KinesisDataFetcher<Event> fetcher = super.createFetcher(streams, context, runtime, client, schema);
            reader = (StreamReader) fetcher;
            return fetcher;
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
            client.setProperty("flink.shard.discovery.intervalmillis", "50");
            client.setProperty("flink.shard.getrecords.maxretries", "1000000");
            return client;
        }
    }

    @SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
    private static final class Subtask implements SourceFunction.SourceContext<Event> {

        private final List<String> read = new CopyOnWriteArrayList<>();
        private final List<String> previous = new CopyOnWriteArrayList<>();
        private final Source source;
        private final AbstractStreamOperatorTestHarness<Event> harness;
        private final CompletableFuture<Void> running;
        private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
        private final List<String> behindTime = new CopyOnWriteArrayList<>();
        private final Map<String, Long> timesBefore = new ConcurrentHashMap<>();
        private volatile long time = Long.MIN_VALUE;

        Subtask(Source source, int index, OperatorSubtaskState restored) throws Exception {
            this.source = source;
            harness = new AbstractStreamOperatorTestHarness<>(new StreamSource<>(source), 8, 2, index);
            harness.getStreamConfig().setCheckpointingEnabled(true);
            harness.setup(Event.type().createSerializer(harness.getExecutionConfig()));
            if (restored != null) {
                harness.initializeState(
                        AbstractStreamOperatorTestHarness.repartitionOperatorState(restored, 8, 1, 2, index));
            }
            harness.open();
            running = CompletableFuture.runAsync(this::run);
            clock.scheduleWithFixedDelay(source::tellTime, 10, 10, TimeUnit.MILLISECONDS);
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

        /** Its watermark. */
        long time() {
            return time;
        }

        /** Its watermark when a record was handed on. */
        long timeBefore(String sequenceNumber) {
            return timesBefore.get(sequenceNumber);
        }

        void awaitTime(long atLeast) throws InterruptedException {
            while (time < atLeast) {
                Thread.sleep(5);
            }
            assertThat(time).isLessThanOrEqualTo(System.currentTimeMillis());
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
            clock.shutdownNow();
            source.cancel();
            running.join();
            harness.close();
        }

        @Override
        public void collect(Event event) {
            collectWithTimestamp(event, 0);
        }

        @Override
        public void collectWithTimestamp(Event event, long timestamp) {
            long arrival = event.arrival;
            if (arrival <= time) {
                behindTime.add(event.position());
            }
            timesBefore.put(event.position(), time);
            read.add(event.position());
            previous.add(String.valueOf(event.previous));
        }

        @Override
        public void emitWatermark(Watermark mark) {
            time = mark.getTimestamp();
        }

        @Override
        public void markAsTemporarilyIdle() {
            throw new AssertionError("nobody waits for whoever is idle");
        }

        @Override
        public Object getCheckpointLock() {
            return harness.getCheckpointLock();
        }

        @Override
        public void close() {}
    }
}
