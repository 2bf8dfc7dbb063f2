package io.telefold.source;

import static io.telefold.archive.Archive.behind;
import static io.telefold.archive.Archive.event;
import static io.telefold.archive.Archive.placed;
import static io.telefold.archive.Archive.rejected;
import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.telefold.CapturedMetrics;
import io.telefold.archive.Archive;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.source.RichParallelSourceFunction;
import org.apache.flink.streaming.api.functions.source.SourceFunction;
import org.apache.flink.streaming.api.operators.StreamSource;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.StreamShardMetadata;
import org.apache.flink.streaming.connectors.kinesis.util.KinesisStateUtil;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.util.CloseableIterator;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class EventSourceTest {

    private static final String A = "shardId-000000000000";
    private static final String B = "shardId-000000000001";
    private static final String CLOSED =
            SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get().getSequenceNumber();
    private static final String LATEST =
            SentinelSequenceNumber.SENTINEL_LATEST_SEQUENCE_NUM.get().getSequenceNumber();
    private static final long POLL_MS = 50;

    @TempDir
    Path folder;

    private final List<AutoCloseable> open = new ArrayList<>();
    private Archive archive;

    @BeforeEach
    void create() throws IOException {
        archive = new Archive(folder);
        archive.write(A, "part-1", event("d", 1, T), event("e", 2, T), event("d", 3, T + 1));
        archive.write(A, "part-2", rejected(4, T + 2), event("d", 5, T + 3));
        archive.write(B, "part-1", event("f", 11, T), event("f", 12, T + 4));
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable opened : open) {
            opened.close();
        }
    }

    // range

    @Test
    void aRangeIsWhatArrivedInItAndEnds() throws Exception {
        assertThat(opened(range(T, T + 10, null), none()).run()).containsExactly("1", "2", "3", "4", "5", "11", "12");
        assertThat(opened(range(T + 1, T + 4, null), none()).run()).containsExactly("3", "4", "5");
    }

    @Test
    void aRangeOfADeviceHasItsValidEventsAlone() throws Exception {
        assertThat(opened(range(T, T + 10, "d"), none()).run()).containsExactly("1", "3", "5");
        assertThat(opened(range(T, T + 10, "nobody"), none()).run()).isEmpty();
    }

    @Test
    @SuppressWarnings({"deprecation", "try"}) // Flink's ways to add such a source and to read rows
    void aRangeIsAJobThatFinishes() throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(
                2, new Configuration().set(PipelineOptions.GENERIC_TYPES, false));
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
        EventSource source = new EventSource("stream", Archive.decoder(), client(), range(T, T + 10, null));
        List<String> read = new ArrayList<>();
        try (CloseableIterator<Event> rows =
                env.addSource(source, "events", Event.type()).uid("events").executeAndCollect()) {
            rows.forEachRemaining(row -> read.add(row.sequenceNumber));
        }
        assertThat(read).containsExactlyInAnyOrder("1", "2", "3", "4", "5", "11", "12");
    }

    @Test
    void aRangeGoesOnWhereItWasAtTheCheckpoint() throws Exception {
        List<String> whole = opened(range(T, T + 10, null), none()).run();
        for (int stop = 1; stop < whole.size(); stop++) {
            Opened first = opened(range(T, T + 10, null), none()).stopAfter(stop);
            List<String> read = first.run();
            read.addAll(opened(range(T, T + 10, null), first.snapshot()).run());
            assertThat(read).isEqualTo(whole);
        }
    }

    @Test
    void aRangeKeepsItsPlaceOverRecordsThatItLeavesOut() throws Exception {
        Opened finished = opened(range(T, T + 1, "d"), none());
        finished.run();
        assertThat(positions(finished.snapshot()).archive).isEqualTo(Map.of(A, "5", B, "12"));
    }

    @Test
    void aRangeLeavesTheStreamAlone() throws Exception {
        Opened ranged = opened(range(T, T + 10, null), snapshotOf(Map.of(A, "3", B, CLOSED), Map.of()));
        assertThat(ranged.run()).containsExactly("4", "5");
        assertThat(ranged.source.streamBegan).isFalse();
        assertThat(positions(ranged.snapshot()).stream).isEmpty();
    }

    // follow

    @Test
    void followingReadsFilesThatAreFinishedLater() throws Exception {
        Opened following = opened(ArchiveReading.follow(archive.toString(), POLL_MS), none())
                .stopAfter(9);
        CompletableFuture<List<String>> read = following.start();
        following.awaitRows(7);
        archive.write(A, "part-3", event("d", 6, T + 5));
        archive.write("shardId-000000000002", "part-1", event("g", 21, T + 5));
        assertThat(read.get()).containsExactly("1", "2", "3", "4", "5", "11", "12", "6", "21");
        assertThat(positions(following.snapshot()).archive)
                .isEqualTo(Map.of(A, "6", B, "12", "shardId-000000000002", "21"));
        assertThat(following.source.streamBegan).isFalse();
    }

    @Test
    void followingWaitsForFilesThatAreFinishedAfterLaterOnes() throws Exception {
        Opened following =
                opened(ArchiveReading.follow(archive.toString(), 500), none()).stopAfter(10);
        CompletableFuture<List<String>> read = following.start();
        following.awaitRows(7);
        for (int number = 8; number >= 6; number--) {
            long before = (Long) following.metrics.value("archiveBytes");
            archive.write(A, "part-" + number, event("d", number, T + 3_600_000));
            while (following.metrics.value("archiveBytes").equals(before)) {
                Thread.sleep(5);
            }
        }
        assertThat(read.get()).endsWith("12", "6", "7", "8");
    }

    /** The first file of a child may be seen before the last one of its parent. */
    @Test
    void followingReadsAShardThatIsNewAfterWhatItMayHaveComeOf() throws Exception {
        Opened following =
                opened(ArchiveReading.follow(archive.toString(), 500), none()).stopAfter(9);
        CompletableFuture<List<String>> read = following.start();
        following.awaitRows(7);
        long before = (Long) following.metrics.value("archiveBytes");
        archive.write("shardId-000000000002", "part-1", event("d", 21, T + 6));
        while (following.metrics.value("archiveBytes").equals(before)) {
            Thread.sleep(5);
        }
        archive.write(A, "part-3", event("d", 6, T + 5));
        assertThat(read.get()).endsWith("12", "6", "21");
    }

    @Test
    void followingCountsItsRoundsOfTheArchive() throws Exception {
        Opened following = opened(ArchiveReading.follow(archive.toString(), POLL_MS), none());
        assertThat(following.metrics.value("archiveRounds")).isEqualTo(0L);
        CompletableFuture<List<String>> read = following.start();
        following.awaitRows(7);
        while ((Long) following.metrics.value("archiveRounds") < 2) {
            Thread.sleep(5);
        }
        assertThat(following.metrics.value("archiveBytesLeft")).isEqualTo(0L);
        long bytes = 0;
        for (Path file : archive.files()) {
            bytes += Files.size(folder.resolve(file));
        }
        assertThat(following.metrics.value("archiveBytes")).isEqualTo(bytes);
        following.source.cancel();
        read.get();
    }

    @Test
    void followingEndsAtOnceWhenCancelled() throws Exception {
        Opened following = opened(ArchiveReading.follow(archive.toString(), 3_600_000), none());
        CompletableFuture<List<String>> read = following.start();
        Thread.sleep(300);
        following.source.cancel();
        assertThat(read.get(5, TimeUnit.SECONDS)).isEmpty();
        Opened neverBegun = opened(ArchiveReading.follow(archive.toString(), 3_600_000), none());
        neverBegun.source.cancel();
        assertThat(neverBegun.run()).isEmpty();
    }

    @Test
    void followingKeepsPositionsBeforeItHasListedAnything() throws Exception {
        ArchiveReading follow = ArchiveReading.follow(archive.toString(), POLL_MS);
        Opened following = opened(follow, snapshotOf(Map.of(A, "3", B, LATEST), Map.of(A, "4")));
        Positions positions = positions(following.snapshot());
        assertThat(positions.archive).isEqualTo(Map.of(A, "4"));
        assertThat(positions.stream).isEmpty();
    }

    // up to

    @Test
    void theStreamTakesOverBehindTheArchive() throws Exception {
        Opened opened = opened(upTo(Map.of(A, "4", B, "12")), none());
        assertThat(opened.run()).containsExactly("1", "2", "3", "4", "11", "12");
        assertThat(opened.source.streamBegan).isTrue();
        Positions positions = positions(opened.snapshot());
        assertThat(positions.stream).isEqualTo(Map.of(A, "4", B, "12"));
        assertThat(positions.archive).isEmpty();
        assertThat(opened.source.restoredByConsumer()).isEqualTo(Map.of(A, "4", B, "12"));
    }

    @Test
    void aShardWithoutPositionIsReadFromItsStreamAlone() throws Exception {
        Opened opened = opened(upTo(Map.of(A, "5")), none());
        assertThat(opened.run()).containsExactly("1", "2", "3", "4", "5");
        assertThat(opened.source.restoredByConsumer()).isEqualTo(Map.of(A, "5"));
        Opened nothing = opened(upTo(Map.of()), none());
        assertThat(nothing.run()).isEmpty();
        // Not null: Flink's consumer then begins at the start of each shard and not at its configured position.
        assertThat(nothing.source.restoredByConsumer()).isEmpty();
    }

    @Test
    void aCheckpointWithinTheArchiveClaimsNothingOfTheStream() throws Exception {
        ArchiveReading reading = upTo(Map.of(A, "5", B, "12"));
        Opened fresh = opened(reading, none());
        assertThat(positions(fresh.snapshot())).isEqualTo(new Positions(Map.of(), Map.of()));
        for (int stop = 1; stop < 7; stop++) {
            Opened first = opened(reading, none()).stopAfter(stop);
            List<String> read = first.run();
            assertThat(first.source.streamBegan).isFalse();
            assertThat(positions(first.snapshot()).stream).isEmpty();
            Opened second = opened(reading, first.snapshot());
            read.addAll(second.run());
            assertThat(read).containsExactly("1", "2", "3", "4", "5", "11", "12");
            assertThat(positions(second.snapshot())).isEqualTo(new Positions(Map.of(A, "5", B, "12"), Map.of()));
        }
    }

    @Test
    void aCheckpointOfTheStreamGoesOnThroughTheArchiveToNewerPositions() throws Exception {
        OperatorSubtaskState streamed = snapshotOf(Map.of(A, "2", B, CLOSED, "shardId-7", LATEST), Map.of());
        Opened opened = opened(upTo(Map.of(A, "4", B, "12", "shardId-9", "90")), streamed);
        assertThat(opened.source.restoredByConsumer())
                .isEqualTo(Map.of(A, "4", B, CLOSED, "shardId-7", LATEST, "shardId-9", "90"));
        Positions within = positions(opened.snapshot());
        assertThat(within.stream).isEqualTo(Map.of(A, "2", B, CLOSED, "shardId-7", LATEST));
        assertThat(within.archive).isEqualTo(Map.of(A, "2", B, CLOSED));
        archive.write("shardId-9", "part-1", event("d", 90, T));
        assertThat(opened.run()).containsExactly("3", "4", "90");
    }

    @Test
    void aStreamThatIsAheadOfThePositionsStaysThere() throws Exception {
        Opened opened = opened(upTo(Map.of(A, "4")), snapshotOf(Map.of(A, "100"), Map.of()));
        assertThat(opened.run()).isEmpty();
        assertThat(positions(opened.snapshot())).isEqualTo(new Positions(Map.of(A, "100"), Map.of()));
    }

    @Test
    void aFollowersCheckpointGoesOnUpToPositionsAndThenWithTheStream() throws Exception {
        Opened following = opened(ArchiveReading.follow(archive.toString(), POLL_MS), none())
                .stopAfter(6);
        assertThat(following.run()).containsExactly("1", "2", "3", "4", "5", "11");
        archive.write(A, "part-3", event("d", 6, T + 5), event("d", 7, T + 5));
        Opened opened = opened(upTo(Map.of(A, "6", B, "11")), following.snapshot());
        assertThat(opened.source.restoredByConsumer()).isEqualTo(Map.of(A, "6", B, "11"));
        assertThat(opened.run()).containsExactly("6");
        assertThat(positions(opened.snapshot())).isEqualTo(new Positions(Map.of(A, "6", B, "11"), Map.of()));
    }

    @Test
    void anArchiveThatEndsBeforeItsPositionsIsAnError() throws Exception {
        assertThatThrownBy(() -> opened(upTo(Map.of(A, "6")), none()).run()).hasMessageContaining("ends at 5 of " + A);
        assertThatThrownBy(() -> opened(upTo(Map.of("shardId-9", "1")), none()).run())
                .hasMessageContaining("shardId-9");
    }

    @Test
    void aHoleEndsTheReadingUnlessToldToGoOn() throws Exception {
        String shard = "shardId-9";
        archive.write(shard, "part-1", behind(null, event("d", 1, T)));
        archive.write(shard, "part-3", behind("2", event("d", 3, T)));
        assertThatThrownBy(() -> opened(upTo(Map.of(shard, "3")), none()).run())
                .hasMessageContaining("lacks records of " + shard + " from behind 1 up to 2: restore its files");
        assertThatThrownBy(() -> opened(ArchiveReading.follow(archive.toString(), POLL_MS), none())
                        .run())
                .hasMessageContaining("from behind 1 up to 2");
        assertThat(opened(upTo(Map.of(shard, "3")).despiteHoles(), none()).run())
                .containsExactly("1", "3");
        assertThat(opened(range(T, T + 1, "d"), none()).run()).containsExactly("1", "1", "3");
    }

    @Test
    void positionsWithinAnAggregateArePassedOn() throws Exception {
        String shard = "shardId-9";
        archive.write(shard, "part-1", placed(null, 0L, event("d", 90, T)), placed("90:0", 1L, event("d", 90, T)));
        Opened opened = opened(upTo(Map.of(shard, "90:1")), none()).stopAfter(1);
        assertThat(opened.run()).containsExactly("90");
        assertThat(positions(opened.snapshot()).archive).isEqualTo(Map.of(shard, "90:0"));
        Opened second = opened(upTo(Map.of(shard, "90:1")), opened.snapshot());
        assertThat(second.run()).containsExactly("90");
        assertThat(second.source.restoredByConsumer()).isEqualTo(Map.of(shard, "90:1"));
    }

    @Test
    void positionsThatAreNoSequenceNumbersAreRefused() {
        assertThatThrownBy(() -> upTo(Map.of(A, "LATEST"))).hasMessageContaining(A);
    }

    @Test
    void subtasksShareTheShardsAndChangeTheirNumber() throws Exception {
        archive.write(A, "part-3", event("d", 20, T + 5));
        ArchiveReading reading = upTo(Map.of(A, "20", B, "12"));
        int subtaskOfA = EventSource.subtaskOf(A, 2);
        assertThat(EventSource.subtaskOf(B, 2)).isEqualTo(1 - subtaskOfA);
        Opened ofA = opened(reading, none(), 2, subtaskOfA).stopAfter(3);
        Opened ofB = opened(reading, none(), 2, 1 - subtaskOfA);
        assertThat(ofA.run()).containsExactly("1", "2", "3");
        assertThat(ofB.run()).containsExactly("11", "12");
        assertThat(positions(ofA.snapshot())).isEqualTo(new Positions(Map.of(), Map.of(A, "3")));
        assertThat(positions(ofB.snapshot())).isEqualTo(new Positions(Map.of(B, "12"), Map.of()));
        OperatorSubtaskState both = AbstractStreamOperatorTestHarness.repackageState(ofA.snapshot(), ofB.snapshot());
        Opened one =
                opened(reading, AbstractStreamOperatorTestHarness.repartitionOperatorState(both, 8, 2, 1, 0), 1, 0);
        assertThat(one.run()).containsExactly("4", "5", "20");
        assertThat(positions(one.snapshot())).isEqualTo(new Positions(Map.of(A, "20", B, "12"), Map.of()));
    }

    @Test
    void whereNoStreamFollowsOneSubtaskReadsAllShardsInTheirOrder() throws Exception {
        assertThat(EventSource.subtaskOf(B, 2)).isNotEqualTo(EventSource.subtaskOf(A, 2));
        for (ArchiveReading reading :
                List.of(range(T, T + 10, null), ArchiveReading.follow(archive.toString(), POLL_MS))) {
            Opened first = opened(reading, none(), 2, 0).stopAfter(7);
            assertThat(first.run()).containsExactly("1", "2", "3", "4", "5", "11", "12");
            assertThat(positions(first.snapshot()).archive).isEqualTo(Map.of(A, "5", B, "12"));
        }
        Opened second = opened(range(T, T + 10, null), none(), 2, 1);
        assertThat(second.run()).isEmpty();
        assertThat(positions(second.snapshot()).archive).isEmpty();
    }

    /** B begins behind the end of A, as a child does. */
    @Test
    void anotherSubtasksShardIsReadWhenACheckpointCoversTheEndOfThoseBeforeIt() throws Exception {
        ArchiveReading reading = upTo(Map.of(A, "5", B, "12"));
        Set<String> news = Collections.synchronizedSet(new HashSet<>());
        Opened ofA = opened(reading, none(), 2, EventSource.subtaskOf(A, 2));
        Opened ofB = opened(reading, none(), 2, EventSource.subtaskOf(B, 2));
        ofA.source.news = news;
        ofB.source.news = news;
        CompletableFuture<List<String>> read = ofB.start();
        OperatorSubtaskState early = ofA.snapshot();
        assertThat(ofA.run()).containsExactly("1", "2", "3", "4", "5");
        ofA.source.notifyCheckpointComplete(1);
        Thread.sleep(1_200);
        assertThat(ofB.read).isEmpty();
        OperatorSubtaskState late = ofA.harness.snapshot(2, 2);
        ofA.source.notifyCheckpointComplete(2);
        assertThat(read.get()).containsExactly("11", "12");
        Opened restored = opened(reading, late, 2, EventSource.subtaskOf(B, 2));
        assertThat(restored.run()).containsExactly("11", "12");
        Opened waiting = opened(reading, early, 2, EventSource.subtaskOf(B, 2));
        CompletableFuture<List<String>> nothing = waiting.start();
        Thread.sleep(300);
        waiting.source.cancel();
        assertThat(nothing.get()).isEmpty();
    }

    // without an archive

    @Test
    void withoutAnArchiveItIsFlinksConsumer() throws Exception {
        OperatorSubtaskState streamed = snapshotOf(Map.of(A, "7", B, CLOSED), Map.of());
        Opened opened = opened(null, streamed);
        assertThat(opened.run()).isEmpty();
        assertThat(opened.source.streamBegan).isTrue();
        Map<String, String> same = Map.of(A, "7", B, CLOSED);
        assertThat(opened.source.restoredByConsumer()).isEqualTo(same);
        assertThat(positions(opened.snapshot())).isEqualTo(new Positions(same, Map.of()));
        assertThat(opened(null, none()).source.restoredByConsumer()).isNull();

        FlinkKinesisConsumer<Event> flinks = new FlinkKinesisConsumer<>("stream", Archive.decoder(), client());
        OperatorSubtaskState read =
                harness(flinks, opened.snapshot(), null, 1, 0).snapshot(1, 1);
        assertThat(positions(read).stream).isEqualTo(same);
    }

    @Test
    void aCheckpointBehindTheArchiveGoesOnWithoutIt() throws Exception {
        Opened opened = opened(upTo(Map.of(A, "5", B, "12")), none());
        opened.run();
        assertThat(opened(null, opened.snapshot()).source.restoredByConsumer()).isEqualTo(Map.of(A, "5", B, "12"));
    }

    @Test
    void aCheckpointWithinTheArchiveDoesNotGoOnWithoutIt() throws Exception {
        Opened opened = opened(upTo(Map.of(A, "5", B, "12")), none()).stopAfter(2);
        opened.run();
        assertThatThrownBy(() -> opened(null, opened.snapshot())).hasMessageContaining("with the archive again");
    }

    private ArchiveReading range(long sinceMs, long untilMs, String device) {
        return ArchiveReading.range(archive.toString(), sinceMs, untilMs, device);
    }

    private ArchiveReading upTo(Map<String, String> positions) {
        return ArchiveReading.upTo(archive.toString(), positions);
    }

    private static OperatorSubtaskState none() {
        return null;
    }

    private Opened opened(ArchiveReading reading, OperatorSubtaskState restored) throws Exception {
        return opened(reading, restored, 1, 0);
    }

    private Opened opened(ArchiveReading reading, OperatorSubtaskState restored, int subtasks, int subtask)
            throws Exception {
        WithoutKinesis source = InstantiationUtil.clone(new WithoutKinesis(reading));
        CapturedMetrics metrics = new CapturedMetrics();
        return new Opened(source, metrics, harness(source, restored, metrics, subtasks, subtask));
    }

    @SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
    private AbstractStreamOperatorTestHarness<Event> harness(
            SourceFunction<Event> source,
            OperatorSubtaskState restored,
            CapturedMetrics metrics,
            int subtasks,
            int subtask)
            throws Exception {
        AbstractStreamOperatorTestHarness<Event> harness = metrics != null && subtasks == 1
                ? new AbstractStreamOperatorTestHarness<>(new StreamSource<>(source), metrics.environment())
                : new AbstractStreamOperatorTestHarness<>(new StreamSource<>(source), 8, subtasks, subtask);
        open.add(harness);
        harness.getExecutionConfig()
                .configure(
                        new Configuration().set(PipelineOptions.GENERIC_TYPES, false),
                        getClass().getClassLoader());
        harness.setup(Event.type().createSerializer(harness.getExecutionConfig()));
        if (restored != null) {
            harness.initializeState(restored);
        }
        harness.open();
        return harness;
    }

    private static Properties client() {
        Properties client = new Properties();
        client.setProperty("aws.region", "eu-west-1");
        return client;
    }

    private OperatorSubtaskState snapshotOf(Map<String, String> stream, Map<String, String> archived) throws Exception {
        return harness(new States(new Positions(stream, archived)), none(), null, 1, 0)
                .snapshot(1, 1);
    }

    private Positions positions(OperatorSubtaskState snapshot) throws Exception {
        States states = new States(null);
        harness(states, snapshot, null, 1, 0);
        return states.positions;
    }

    private static final class Positions {

        private final Map<String, String> stream;
        private final Map<String, String> archive;

        Positions(Map<String, String> stream, Map<String, String> archive) {
            this.stream = stream;
            this.archive = archive;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Positions && toString().equals(other.toString());
        }

        @Override
        public int hashCode() {
            return toString().hashCode();
        }

        @Override
        public String toString() {
            return "stream " + new TreeMap<>(stream) + ", archive " + new TreeMap<>(archive);
        }
    }

    private static final class Opened {

        private final WithoutKinesis source;
        private final CapturedMetrics metrics;
        private final AbstractStreamOperatorTestHarness<Event> harness;
        private final List<String> read = Collections.synchronizedList(new ArrayList<>());
        private int stopAfter = Integer.MAX_VALUE;

        Opened(WithoutKinesis source, CapturedMetrics metrics, AbstractStreamOperatorTestHarness<Event> harness) {
            this.source = source;
            this.metrics = metrics;
            this.harness = harness;
        }

        /** Cancels the source once it has emitted so many rows; the last of them is read. */
        Opened stopAfter(int rows) {
            stopAfter = rows;
            return this;
        }

        List<String> run() throws Exception {
            source.run(new Context());
            return new ArrayList<>(read);
        }

        CompletableFuture<List<String>> start() {
            return CompletableFuture.supplyAsync(() -> {
                try {
                    return run();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            });
        }

        void awaitRows(int rows) throws InterruptedException {
            while (read.size() < rows) {
                Thread.sleep(5);
            }
        }

        OperatorSubtaskState snapshot() throws Exception {
            return harness.snapshot(1, 1);
        }

        @SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
        private final class Context implements SourceFunction.SourceContext<Event> {

            private final Object lock = new Object();

            @Override
            public void collect(Event event) {
                assertThat(Thread.holdsLock(lock)).isTrue();
                read.add(event.sequenceNumber);
                if (read.size() == stopAfter) {
                    source.cancel();
                }
            }

            @Override
            public void collectWithTimestamp(Event event, long timestamp) {
                throw new UnsupportedOperationException();
            }

            @Override
            public void emitWatermark(Watermark mark) {
                throw new UnsupportedOperationException();
            }

            @Override
            public void markAsTemporarilyIdle() {}

            @Override
            public Object getCheckpointLock() {
                return lock;
            }

            @Override
            public void close() {}
        }
    }

    /** The source with a stream that is empty. */
    private static final class WithoutKinesis extends EventSource {

        private static final long serialVersionUID = 1L;

        private boolean streamBegan;
        private transient Set<String> news;

        WithoutKinesis(ArchiveReading archive) throws IOException {
            super("stream", Archive.decoder(), client(), archive);
        }

        @Override
        void readStream(SourceContext<Event> context) {
            streamBegan = true;
        }

        @Override
        Set<String> exchangeEndedShards(Set<String> told) {
            news = news == null ? new HashSet<>() : news;
            news.addAll(told);
            return new HashSet<>(news);
        }

        /** Shard to the place from which Flink's consumer will read it; null if by its settings. */
        Map<String, String> restoredByConsumer() throws Exception {
            Field field = FlinkKinesisConsumer.class.getDeclaredField("sequenceNumsToRestore");
            field.setAccessible(true);
            @SuppressWarnings("unchecked")
            Map<StreamShardMetadata.EquivalenceWrapper, SequenceNumber> restored =
                    (Map<StreamShardMetadata.EquivalenceWrapper, SequenceNumber>) field.get(this);
            if (restored == null) {
                return null;
            }
            Map<String, String> positions = new TreeMap<>();
            restored.forEach(
                    (shard, position) -> positions.put(shard.getShardMetadata().getShardId(), textOf(position)));
            return positions;
        }
    }

    private static String textOf(SequenceNumber position) {
        return position.getSequenceNumber() + (position.isAggregated() ? ":" + position.getSubSequenceNumber() : "");
    }

    /** Writes or reads the states, with nothing of what is tested. */
    @SuppressWarnings("deprecation") // the kind of source that the Kinesis consumer is
    private static final class States extends RichParallelSourceFunction<Event> implements CheckpointedFunction {

        private static final long serialVersionUID = 1L;

        private transient ListState<Tuple2<StreamShardMetadata, SequenceNumber>> stream;
        private transient ListState<Tuple2<String, String>> archive;
        private transient Positions positions;

        States(Positions positions) {
            this.positions = positions;
        }

        @Override
        @SuppressWarnings("deprecation")
        public void initializeState(FunctionInitializationContext context) throws Exception {
            OperatorStateStore store = context.getOperatorStateStore();
            stream = store.getUnionListState(new ListStateDescriptor<>(
                    "Kinesis-Stream-Shard-State",
                    KinesisStateUtil.createShardsStateSerializer(
                            getRuntimeContext().getExecutionConfig())));
            archive = store.getUnionListState(
                    new ListStateDescriptor<>("archive-positions", Types.TUPLE(Types.STRING, Types.STRING)));
            if (positions == null) {
                positions = new Positions(new TreeMap<>(), new TreeMap<>());
                stream.get()
                        .forEach(shard -> positions.stream.put(shard.f0.getShardId(), shard.f1.getSequenceNumber()));
                archive.get().forEach(shard -> positions.archive.put(shard.f0, shard.f1));
            }
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            for (Map.Entry<String, String> shard : positions.stream.entrySet()) {
                StreamShardMetadata metadata = new StreamShardMetadata();
                metadata.setStreamName("stream");
                metadata.setShardId(shard.getKey());
                stream.add(Tuple2.of(metadata, new SequenceNumber(shard.getValue())));
            }
            for (Map.Entry<String, String> shard : positions.archive.entrySet()) {
                archive.add(Tuple2.of(shard.getKey(), shard.getValue()));
            }
        }

        @Override
        public void run(SourceContext<Event> context) {}

        @Override
        public void cancel() {}
    }
}
