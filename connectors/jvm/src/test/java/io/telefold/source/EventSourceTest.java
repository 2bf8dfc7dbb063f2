package io.telefold.source;

import static io.telefold.archive.Archive.behind;
import static io.telefold.archive.Archive.event;
import static io.telefold.archive.Archive.placed;
import static io.telefold.archive.Archive.rejected;
import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kinesisflink.source.EnumeratorState;
import io.kinesisflink.source.KinesisSource;
import io.kinesisflink.source.KinesisSourceBuilder;
import io.kinesisflink.source.ModelKinesis;
import io.kinesisflink.source.ModelStream;
import io.kinesisflink.source.ShardAssigner;
import io.kinesisflink.source.ShardPosition;
import io.kinesisflink.source.ShardSplit;
import io.telefold.CapturedMetrics;
import io.telefold.archive.Archive;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerialization;
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
    private static final String C = "shardId-000000000002";
    private static final ShardPosition END = ShardPosition.end();
    private static final long POLL_MS = 50;

    @TempDir
    Path folder;

    private final List<SourceJob> open = new ArrayList<>();
    private final ModelStream stream = new ModelStream(new Random(1), 2);
    private final ModelKinesis kinesis = stream.kinesis;
    private UnaryOperator<KinesisSourceBuilder<Event>> beginning = KinesisSourceBuilder::fromTrimHorizon;
    private Archive archive;

    @BeforeEach
    void create() throws IOException {
        kinesis.nowMs = T + 60_000;
        archive = new Archive(folder);
        archive.write(A, "part-1", event("d", 1, T), event("e", 2, T), event("d", 3, T + 1));
        archive.write(A, "part-2", rejected(4, T + 2), event("d", 5, T + 3));
        archive.write(B, "part-1", event("f", 11, T), event("f", 12, T + 4));
    }

    @AfterEach
    void close() {
        open.forEach(SourceJob::close);
    }

    // range

    @Test
    void aRangeIsWhatArrivedInItAndEnds() throws Exception {
        SourceJob job = job(range(T, T + 10, null));
        assertThat(read(job)).containsExactly("1", "2", "3", "4", "5", "11", "12");
        assertThat(job.subtasks[0].hasEnded).isTrue();
        assertThat(read(job(range(T + 1, T + 4, null)))).containsExactly("3", "4", "5");
    }

    @Test
    void aRangeOfADeviceHasItsValidEventsAlone() throws Exception {
        assertThat(read(job(range(T, T + 10, "d")))).containsExactly("1", "3", "5");
        assertThat(read(job(range(T, T + 10, "nobody")))).isEmpty();
    }

    @Test
    void aRangeGoesOnWhereItWasAtTheCheckpoint() throws Exception {
        for (int stop = 1; stop < 7; stop++) {
            SourceJob job = job(range(T, T + 10, null));
            List<String> read = readUpTo(job, stop);
            job.checkpoint();
            job.crash(1);
            read.addAll(read(job));
            assertThat(read).containsExactly("1", "2", "3", "4", "5", "11", "12");
        }
    }

    @Test
    void aRangeKeepsItsPlaceOverRecordsThatItLeavesOut() throws Exception {
        SourceJob job = job(range(T, T + 1, "d"));
        read(job);
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "5", B, "12")));
    }

    @Test
    void aRangeLeavesTheStreamAlone() throws Exception {
        kinesis.put("d", "of the stream");
        SourceJob job = job(range(T, T + 10, null), 1, streamCheckpoint(Map.of(A, ShardPosition.after("3"), B, END)));
        assertThat(read(job)).containsExactly("4", "5");
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "5", B, "SHARD_END")));
        job.list();
        assertThat(kinesis.requests()).isEmpty();
    }

    // follow

    @Test
    void followingReadsFilesThatAreFinishedLater() throws Exception {
        SourceJob job = job(follow());
        assertThat(readFollowing(job)).containsExactly("1", "2", "3", "4", "5", "11", "12");
        archive.write(A, "part-3", event("d", 6, T + 5));
        archive.write(C, "part-1", event("g", 21, T + 5));
        assertThat(readFollowing(job)).containsExactly("1", "2", "3", "4", "5", "11", "12", "6", "21");
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "6", B, "12", C, "21")));
        assertThat(kinesis.requests()).isEmpty();
    }

    @Test
    void followingWaitsForFilesThatAreFinishedAfterLaterOnes() throws Exception {
        SourceJob job = job(follow());
        readFollowing(job);
        for (int number = 8; number >= 6; number--) {
            archive.write(A, "part-" + number, event("d", number, T + 3_600_000));
            job.subtasks[0].look();
            job.settle();
            assertThat(job.emitted()).hasSize(7);
        }
        assertThat(readFollowing(job)).endsWith("12", "6", "7", "8");
    }

    /** The first file of a child may be seen before the last one of its parent. */
    @Test
    void followingReadsAShardThatIsNewAfterWhatItMayHaveComeOf() throws Exception {
        SourceJob job = job(follow());
        readFollowing(job);
        archive.write(C, "part-1", event("d", 21, T + 6));
        job.subtasks[0].look();
        job.settle();
        archive.write(A, "part-3", event("d", 6, T + 5));
        assertThat(readFollowing(job)).endsWith("12", "6", "21");
    }

    @Test
    void followingCountsItsRoundsOfTheArchive() throws Exception {
        SourceJob job = job(follow());
        job.subtasks[0].start();
        CapturedMetrics metrics = job.subtasks[0].metrics;
        assertThat(metrics.value("archiveRounds")).isEqualTo(0L);
        readFollowing(job);
        assertThat((Long) metrics.value("archiveRounds")).isGreaterThanOrEqualTo(2);
        assertThat(metrics.value("archiveBytesLeft")).isEqualTo(0L);
        long bytes = 0;
        for (Path file : archive.files()) {
            bytes += Files.size(folder.resolve(file));
        }
        assertThat(metrics.value("archiveBytes")).isEqualTo(bytes);
    }

    @Test
    void followingGoesOnWhereItWasAtTheCheckpoint() throws Exception {
        SourceJob job = job(follow());
        List<String> read = new ArrayList<>();
        for (int number = 6; number < 12; number++) {
            archive.write(A, "part-" + number, event("d", number, T + number));
            read.addAll(readFollowing(job));
            job.checkpoint();
            if (number % 2 == 0) {
                job.crash(job.subtasks[0]);
            } else {
                job.crash(1 + number % 3);
            }
        }
        assertThat(read).containsExactly("1", "2", "3", "4", "5", "6", "11", "12", "7", "8", "9", "10", "11");
    }

    /** A thread looks for files, and its reader is told of what was found; it ends with its reader. */
    @Test
    void filesAreLookedForByAThreadThatEndsWithItsReader() throws Exception {
        CapturedMetrics metrics = new CapturedMetrics();
        SourceReader<Event, LogSplit> reader = source(ArchiveReading.follow(archive.toString(), 3_600_000))
                .createReader(new ReaderContext(0, 1, metrics, told -> {}));
        EventOutput output = new EventOutput();
        reader.start();
        reader.handleSourceEvents(new ArchiveBegins(Set.of()));
        CompletableFuture<Void> available = reader.isAvailable();
        assertThat(available).isDone();
        while ((Long) metrics.value("archiveRounds") == 0) {
            if (reader.pollNext(output) == InputStatus.NOTHING_AVAILABLE) {
                reader.isAvailable().join();
            }
        }
        while (reader.pollNext(output) == InputStatus.MORE_AVAILABLE) {
            // until it waits for the next round
        }
        CompletableFuture<Void> next = reader.isAvailable();
        assertThat(next).isNotDone();
        assertThat(lookingThreads()).isPositive();
        reader.close();
        assertThat(next).isDone();
        while (lookingThreads() > 0) {
            Thread.sleep(5);
        }
    }

    private static long lookingThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("archive-files"))
                .count();
    }

    @Test
    void followingKeepsPositionsBeforeItHasListedAnything() throws Exception {
        SourceJob.Completed streamed = streamCheckpoint(Map.of(A, ShardPosition.after("3"), B, ShardPosition.oldest()));
        SourceJob job = job(follow(), 1, streamed);
        job.subtasks[0].start();
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "3", B, "null")));
        job.crash(1);
        assertThat(readFollowing(job)).containsExactly("4", "5", "11", "12");
    }

    // up to

    @Test
    void theStreamTakesOverBehindTheArchive() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "4", B, "12")));
        assertThat(read(job)).containsExactly("1", "2", "3", "4", "11", "12");
        assertThat(kinesis.requests()).isEmpty();
        ModelKinesis.Put put = kinesis.put("d", "of the stream");
        goOn(job);
        assertThat(job.emitted()).contains(put.number()).hasSize(7);
        Map<String, String> reached = new HashMap<>(Map.of(A, "4", B, "12"));
        reached.put(put.shard(), put.number());
        assertThat(positions(job)).isEqualTo(reached);
    }

    @Test
    void aShardWithoutPositionIsReadFromItsStreamAlone() throws Exception {
        List<String> inA = putInto(A, 2);
        List<String> inB = putInto(B, 2);
        SourceJob job = job(upTo(Map.of(A, inA.get(0))).despiteHoles(), 1, null);
        archive.write(A, "part-3", numbered(inA.get(0), null));
        goOn(job);
        assertThat(job.emitted())
                .startsWith("1", "2", "3", "4", "5")
                .hasSize(9)
                .containsAll(inA)
                .containsAll(inB);
    }

    /** And not at LATEST: what arrived since the archive ends would be left out. */
    @Test
    void behindAnArchiveWithoutPositionsEachShardIsReadFromItsOldestRecord() throws Exception {
        beginning = KinesisSourceBuilder::fromLatest;
        List<String> inA = putInto(A, 2);
        SourceJob job = job(upTo(Map.of()));
        goOn(job);
        assertThat(job.emitted()).isEqualTo(inA);
    }

    @Test
    void behindAnArchiveAShardWithoutPositionIsReadFromTheTimeAtWhichTheLogBegins() throws Exception {
        List<String> inA = putInto(A, 1);
        putInto(B, 1);
        kinesis.nowMs += 5_000;
        long since = kinesis.nowMs;
        beginning = builder -> builder.fromTimestamp(Instant.ofEpochMilli(since));
        List<String> later = putInto(B, 2);
        SourceJob job = job(upTo(Map.of(A, "5")));
        goOn(job);
        assertThat(job.emitted()).containsAll(inA).containsAll(later).hasSize(5 + 1 + 2);
        assertThat(emittedAs(job, later.get(0)).previous).isNull();
        assertThat(emittedAs(job, later.get(1)).previous).isEqualTo(later.get(0));
    }

    @Test
    void aCheckpointWithinTheArchiveClaimsNothingOfTheStream() throws Exception {
        ArchiveReading reading = upTo(Map.of(A, "5", B, "12"));
        for (int stop = 1; stop < 7; stop++) {
            SourceJob job = job(reading);
            List<String> read = readUpTo(job, stop);
            assertThat(positions(job).keySet()).allMatch(split -> split.startsWith("archive of "));
            job.crash(1);
            goOn(job);
            read.addAll(job.emitted());
            assertThat(read).containsExactly("1", "2", "3", "4", "5", "11", "12");
            assertThat(positions(job)).isEqualTo(Map.of(A, "5", B, "12"));
        }
    }

    @Test
    void aCheckpointOfTheStreamGoesOnThroughTheArchiveToNewerPositions() throws Exception {
        SourceJob.Completed streamed = streamCheckpoint(Map.of(A, ShardPosition.after("2"), B, END));
        archive.write("shardId-9", "part-1", event("d", 90, T));
        SourceJob job = job(upTo(Map.of(A, "4", B, "12", "shardId-9", "90")), 1, streamed);
        job.subtasks[0].start();
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "2", "shardId-9", "null")));
        assertThat(read(job)).containsExactly("3", "4", "90");
        ModelKinesis.Put put = putInto(A);
        goOn(job);
        assertThat(job.emitted()).containsExactly("3", "4", "90", put.number());
        assertThat(positions(job)).isEqualTo(Map.of(A, put.number()));
    }

    @Test
    void aStreamThatIsAheadOfThePositionsStaysThere() throws Exception {
        SourceJob.Completed streamed =
                streamCheckpoint(Map.of(A, ShardPosition.after("100"), B, ShardPosition.oldest()));
        ModelKinesis.Put put = putInto(A);
        SourceJob job = job(upTo(Map.of(A, "4")), 1, streamed);
        goOn(job);
        assertThat(job.emitted()).containsExactly(put.number());
        assertThat(positions(job)).isEqualTo(Map.of(A, put.number(), B, "null"));
    }

    @Test
    void aFollowersCheckpointGoesOnUpToPositionsAndThenWithTheStream() throws Exception {
        SourceJob job = job(follow());
        assertThat(readUpTo(job, 6)).containsExactly("1", "2", "3", "4", "5", "11");
        job.checkpoint();
        archive.write(A, "part-3", event("d", 6, T + 5), event("d", 7, T + 5));
        job.crash(source(upTo(Map.of(A, "6", B, "11"))), 1);
        goOn(job);
        assertThat(job.emitted()).containsExactly("6");
        assertThat(positions(job)).isEqualTo(Map.of(A, "6", B, "11"));
    }

    @Test
    void whatAFollowerReadBeyondThePositionsIsNotReadAgainFromTheStream() throws Exception {
        archive.write(B, "part-2", event("d", 13, T + 5));
        archive.write(C, "part-1", event("d", 21, T + 6));
        SourceJob job = job(follow());
        readFollowing(job);
        job.checkpoint();
        archive.write(A, "part-3", event("d", 6, T + 5));
        job.crash(source(upTo(Map.of(A, "6", B, "12"))), 1);
        assertThat(read(job)).containsExactly("6");
        goOn(job);
        assertThat(positions(job)).isEqualTo(Map.of(A, "6", B, "13"));
        assertThat(job.state().stream().given()).isEqualTo(Map.of(C, ShardPosition.after("21")));
    }

    @Test
    void anArchiveThatEndsBeforeItsPositionsIsAnError() throws Exception {
        assertThatThrownBy(() -> read(job(upTo(Map.of(A, "6"))))).hasMessageContaining("ends at 5 of " + A);
        assertThatThrownBy(() -> read(job(upTo(Map.of("shardId-9", "1"))))).hasMessageContaining("shardId-9");
    }

    @Test
    void aHoleEndsTheReadingUnlessToldToGoOn() throws Exception {
        String shard = "shardId-9";
        archive.write(shard, "part-1", behind(null, event("d", 1, T)));
        archive.write(shard, "part-3", behind("2", event("d", 3, T)));
        assertThatThrownBy(() -> read(job(upTo(Map.of(shard, "3")))))
                .hasMessageContaining("lacks records of " + shard + " from behind 1 up to 2: restore its files");
        assertThatThrownBy(() -> readFollowing(job(follow()))).hasMessageContaining("from behind 1 up to 2");
        assertThat(read(job(upTo(Map.of(shard, "3")).despiteHoles()))).containsExactly("1", "3");
        assertThat(read(job(range(T, T + 1, "d")))).containsExactly("1", "1", "3");
    }

    @Test
    void positionsWithinAnAggregateArePassedOn() throws Exception {
        String shard = "shardId-9";
        archive.write(shard, "part-1", placed(null, 0L, event("d", 90, T)), placed("90:0", 1L, event("d", 90, T)));
        SourceJob job = job(upTo(Map.of(shard, "90:1")));
        assertThat(readUpTo(job, 1)).containsExactly("90:0");
        assertThat(positions(job)).isEqualTo(archived(Map.of(shard, "90:0")));
        job.crash(1);
        goOn(job);
        assertThat(job.emitted()).containsExactly("90:1");
        assertThat(job.state().stream().given()).isEqualTo(Map.of(shard, ShardPosition.after("90", 1L)));
    }

    @Test
    void theStreamTakesOverFromTheArchiveWithinAnAggregate() throws Exception {
        List<String> keys = List.of("d", "d", "d");
        List<ModelKinesis.Put> puts = kinesis.putAggregate(keys, List.of("1", "2", "3"));
        String shard = puts.get(0).shard();
        String number = puts.get(0).number();
        archive.write("shardId-9", "part-1", numbered(number, 0L), numbered(number, 1L));
        Files.createDirectories(folder.resolve("other"));
        Archive other = new Archive(folder.resolve("other"));
        other.write(shard, "part-1", numbered(number, 0L), numbered(number, 1L));
        SourceJob job = job(ArchiveReading.upTo(other.toString(), Map.of(shard, number + ":1")));
        goOn(job);
        assertThat(job.emitted()).containsExactly(number + ":0", number + ":1", number + ":2");
        assertThat(emittedAs(job, number + ":2").previous).isEqualTo(number + ":1");
    }

    @Test
    void anEventSaysItsPlaceInAnAggregateAndWhichOneWasReadBeforeIt() throws Exception {
        ModelKinesis.Put first = kinesis.put("d", "1");
        String number = kinesis.putAggregate(List.of("d", "d"), List.of("2", "3"))
                .get(0)
                .number();
        SourceJob job = job(null);
        goOn(job);
        assertThat(job.emitted()).containsExactly(first.number(), number + ":0", number + ":1");
        assertThat(job.subtasks[0].output.events)
                .extracting(event -> event.previous)
                .containsExactly(null, first.number(), number + ":0");
        job.checkpoint();
        job.crash(1);
        ModelKinesis.Put last = kinesis.put("d", "4");
        goOn(job);
        assertThat(emittedAs(job, last.number()).previous).isEqualTo(number + ":1");
    }

    @Test
    void positionsThatAreNoSequenceNumbersAreRefused() {
        assertThatThrownBy(() -> upTo(Map.of(A, "LATEST"))).hasMessageContaining(A);
    }

    // subtasks

    @Test
    void subtasksShareTheShardsAndChangeTheirNumber() throws Exception {
        archive.write(A, "part-3", event("d", 20, T + 5));
        SourceJob job = job(upTo(Map.of(A, "20", B, "12")), 2, null);
        start(job);
        job.subtasks[subtaskOf(B)].poll(100);
        while (job.subtasks[subtaskOf(A)].emitted().size() < 3) {
            job.subtasks[subtaskOf(A)].poll(1);
        }
        assertThat(job.subtasks[subtaskOf(B)].emitted()).containsExactly("11", "12");
        assertThat(job.subtasks[subtaskOf(A)].emitted()).containsExactly("1", "2", "3");
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "3", B, "12")));
        for (int parallelism = 1; parallelism < 4; parallelism++) {
            SourceJob other = job(upTo(Map.of(A, "20", B, "12")), parallelism, job.last());
            assertThat(read(other)).containsExactly("4", "5", "20");
            goOn(other);
            assertThat(positions(other)).isEqualTo(Map.of(A, "20", B, "12"));
        }
    }

    @Test
    void whereNoStreamFollowsOneSubtaskReadsAllShardsInTheirOrder() throws Exception {
        for (ArchiveReading reading : List.of(range(T, T + 10, null), follow())) {
            SourceJob job = job(reading, 2, null);
            readFollowing(job);
            assertThat(job.subtasks[0].emitted()).containsExactly("1", "2", "3", "4", "5", "11", "12");
            assertThat(job.subtasks[1].emitted()).isEmpty();
            assertThat(job.subtasks[1].hasEnded).isTrue();
            assertThat(positions(job)).isEqualTo(archived(Map.of(A, "5", B, "12")));
        }
        assertThat(source(range(T, T + 10, null)).getBoundedness()).isEqualTo(Boundedness.BOUNDED);
        assertThat(source(follow()).getBoundedness()).isEqualTo(Boundedness.CONTINUOUS_UNBOUNDED);
        assertThat(source(upTo(Map.of())).getBoundedness()).isEqualTo(Boundedness.CONTINUOUS_UNBOUNDED);
    }

    /** B begins behind the end of A, as a child does. */
    @Test
    void anotherSubtasksShardIsReadWhenACheckpointCoversTheEndOfThoseBeforeIt() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")), 2, null);
        start(job);
        job.subtasks[subtaskOf(B)].poll(100);
        job.checkpoint();
        job.settle();
        assertThat(job.emitted()).containsExactly("1", "2", "3", "4", "5");
        job.beginCheckpoint();
        job.snapshot(job.subtasks[0]);
        job.snapshot(job.subtasks[1]);
        job.settle();
        assertThat(job.subtasks[subtaskOf(B)].emitted()).isEmpty();
        job.complete();
        job.settle();
        assertThat(job.subtasks[subtaskOf(B)].emitted()).containsExactly("11", "12");
        job.crash(job.subtasks[subtaskOf(B)]);
        job.settle();
        assertThat(job.subtasks[subtaskOf(B)].emitted()).containsExactly("11", "12");
        job.crash(2);
        job.settle();
        assertThat(job.emitted()).containsExactly("11", "12");
    }

    @Test
    void aSubtaskThatFailsAloneGoesOnWhereItWasWithinTheArchiveAndBehindIt() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "11")), 2, null);
        start(job);
        while (job.subtasks[subtaskOf(A)].emitted().size() < 3) {
            job.subtasks[subtaskOf(A)].poll(1);
        }
        job.checkpoint();
        job.crash(job.subtasks[subtaskOf(A)]);
        job.settle();
        assertThat(job.subtasks[subtaskOf(A)].emitted()).containsExactly("4", "5");
        job.checkpoint();
        job.crash(job.subtasks[subtaskOf(A)]);
        goOn(job);
        List<String> inA = putInto(A, 2);
        for (int failures = 0; failures < 3; failures++) {
            goOn(job);
            assertThat(job.subtasks[subtaskOf(A)].emitted()).endsWith(inA.get(1));
            job.crash(job.subtasks[subtaskOf(A)]);
            inA = putInto(A, 2);
        }
        goOn(job);
        assertThat(coveredOnce(job)).hasSize(6 + 8);
    }

    /** The first that fails has in its state what the other one reads by now. */
    @Test
    void whatAnotherSubtaskReadsByNowIsLeftToIt() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")), 1, null);
        readUpTo(job, 2);
        job.checkpoint();
        job.crash(2);
        start(job);
        job.crash(job.subtasks[0]);
        job.crash(job.subtasks[1]);
        start(job);
        job.crash(job.subtasks[0]);
        goOn(job);
        goOn(job);
        assertThat(coveredOnce(job)).containsExactlyInAnyOrder("1", "2", "3", "4", "5", "11", "12");
    }

    /** Subtask 1 has not come back when the last of the others says what it has. */
    @Test
    void nothingIsHandedOutWhileASubtaskIsNotThere() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")), 2, null);
        job.subtasks[1].start();
        job.fail(job.subtasks[1]);
        job.subtasks[0].start();
        job.subtasks[0].deliverAll();
        job.subtasks[0].poll(100);
        assertThat(job.emitted()).isEmpty();
        job.restartFailed();
        goOn(job);
        goOn(job);
        assertThat(coveredOnce(job)).hasSize(7);
    }

    // states

    @Test
    void whatWasReadOfTheArchiveIsKnownAfterEveryRestart() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")), 2, null);
        start(job);
        job.subtasks[subtaskOf(A)].poll(100);
        for (int restart = 0; restart < 3; restart++) {
            job.checkpoint();
            job.crash(2);
            start(job);
            job.subtasks[subtaskOf(A)].deliverAll();
            job.subtasks[subtaskOf(A)].poll(100);
            assertThat(job.emitted()).isEmpty();
        }
        goOn(job);
        assertThat(coveredOnce(job)).hasSize(7);
    }

    @Test
    void aCheckpointBeforeItIsDecidedWhereReadingGoesOnLosesNothing() throws Exception {
        SourceJob.Completed streamed =
                streamCheckpoint(Map.of(A, ShardPosition.after("5"), B, ShardPosition.after("12")));
        for (ArchiveReading reading : new ArchiveReading[] {upTo(Map.of(A, "5", B, "12")), null}) {
            List<String> inA = putInto(A, 1);
            SourceJob job = job(reading, 1, heldByEnumerator(streamed));
            goOn(job);
            assertThat(job.emitted()).endsWith(inA.get(0)).doesNotContain("5", "12");
            assertThat(positions(job)).isEqualTo(Map.of(A, inA.get(0), B, "12"));
        }
    }

    @Test
    void aSubtaskThatFailsAloneWithinTheArchiveReadsNothingOfItsOldStateOfTheStream() throws Exception {
        SourceJob.Completed streamed =
                streamCheckpoint(Map.of(A, ShardPosition.after("2"), B, ShardPosition.after("11")));
        List<String> inA = putInto(A, 2);
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")), 2, streamed);
        start(job);
        job.crash(job.subtasks[0]);
        start(job);
        job.crash(job.subtasks[1]);
        start(job);
        assertThat(positions(job)).isEqualTo(archived(Map.of(A, "2", B, "11")));
        assertThat(job.state().pending()).isEmpty();
        goOn(job);
        goOn(job);
        assertThat(coveredOnce(job)).containsExactlyInAnyOrder("3", "4", "5", "12", inA.get(0), inA.get(1));
    }

    /** Which the stream's own state does after an hour, so that it does not grow for ever. */
    @Test
    void aShardThatTheStreamHasForgottenIsNotReadAgainFromTheArchive() throws Exception {
        ArchiveReading reading = upTo(Map.of(A, "5", B, "12"));
        SourceJob job = job(reading);
        goOn(job);
        kinesis.split(A);
        goOn(job);
        goOn(job);
        assertThat(job.state().stream().ended()).containsExactly(A);
        kinesis.expire(A);
        goOn(job);
        stream.passTime(4_000_000);
        goOn(job);
        assertThat(job.state().stream().ended()).isEmpty();
        job.crash(1);
        goOn(job);
        assertThat(coveredOnce(job)).hasSize(7);
        assertThat(job.emitted()).isEmpty();
        archive.write(A, "part-3", event("d", 6, T + 5));
        job.crash(source(upTo(Map.of(A, "6", B, "12"))), 2);
        goOn(job);
        assertThat(job.emitted()).isEmpty();
    }

    @Test
    void aShardOfTheStreamOfWhichNothingWasReadKeepsItsBeginningBehindTheArchive() throws Exception {
        SourceJob.Completed streamed =
                streamCheckpoint(Map.of(A, ShardPosition.after("2"), B, ShardPosition.atTime(kinesis.nowMs + 1_000)));
        putInto(B, 1);
        kinesis.nowMs += 2_000;
        List<String> inB = putInto(B, 1);
        SourceJob job = job(upTo(Map.of(A, "5")), 1, streamed);
        goOn(job);
        goOn(job);
        assertThat(job.emitted()).containsExactly("3", "4", "5", inB.get(0));
    }

    @Test
    void withoutAnArchiveItIsTheStream() throws Exception {
        List<String> inA = putInto(A, 2);
        SourceJob job = job(null, 1, streamCheckpoint(Map.of(A, ShardPosition.after(inA.get(0)), B, END)));
        goOn(job);
        assertThat(job.emitted()).containsExactly(inA.get(1));
        assertThat(positions(job)).isEqualTo(Map.of(A, inA.get(1)));
        assertThat(source(null).getBoundedness()).isEqualTo(Boundedness.CONTINUOUS_UNBOUNDED);
    }

    @Test
    void aCheckpointBehindTheArchiveGoesOnWithoutIt() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")));
        goOn(job);
        job.checkpoint();
        List<String> inA = putInto(A, 1);
        job.crash(source(null), 1);
        goOn(job);
        assertThat(job.emitted()).isEqualTo(inA);
        assertThat(positions(job)).isEqualTo(Map.of(A, inA.get(0), B, "12"));
    }

    @Test
    void aCheckpointWithinTheArchiveDoesNotGoOnWithoutIt() throws Exception {
        SourceJob job = job(upTo(Map.of(A, "5", B, "12")));
        readUpTo(job, 2);
        job.checkpoint();
        assertThatThrownBy(() -> job(null, 1, job.last())).hasMessageContaining("with the archive again");
    }

    @Test
    void stateOfAnUnknownVersionIsRefused() throws Exception {
        EventSource source = source(null);
        LogSplit split = new LogSplit.OfArchive(A, "7");
        byte[] bytes = source.getSplitSerializer().serialize(split);
        assertThat(source.getSplitSerializer().deserialize(1, bytes)).isEqualTo(split);
        assertThatThrownBy(() -> source.getSplitSerializer().deserialize(2, bytes))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("version 2");
    }

    @Test
    void itCanBeShipped() throws Exception {
        EventSource source = new EventSource(
                KinesisSource.builder("stream", Archive.decoder())
                        .fromTrimHorizon()
                        .build(),
                Archive.decoder(),
                upTo(Map.of(A, "5")),
                true);
        assertThat(InstantiationUtil.clone(source).getProducedType()).isEqualTo(Event.type());
    }

    // what is shared

    private ArchiveReading range(long sinceMs, long untilMs, String device) {
        return ArchiveReading.range(archive.toString(), sinceMs, untilMs, device);
    }

    private ArchiveReading follow() {
        return ArchiveReading.follow(archive.toString(), POLL_MS);
    }

    private ArchiveReading upTo(Map<String, String> positions) {
        return ArchiveReading.upTo(archive.toString(), positions);
    }

    private EventSource source(ArchiveReading reading) throws IOException {
        KinesisSourceBuilder<Event> builder = KinesisSource.builder("stream", Archive.decoder());
        return new EventSource(stream.source(beginning.apply(builder.timeOfLog())), Archive.decoder(), reading, true);
    }

    private SourceJob job(ArchiveReading reading) throws IOException {
        return job(reading, 1, null);
    }

    private SourceJob job(ArchiveReading reading, int parallelism, SourceJob.Completed from) throws IOException {
        SourceJob job = new SourceJob(source(reading), parallelism, from);
        open.add(job);
        return job;
    }

    private static int subtaskOf(String shard) {
        return ShardAssigner.BY_HASH.subtaskOf(shard, 2);
    }

    /** All subtasks run, and have what the enumerator gave them. */
    private static void start(SourceJob job) {
        for (SourceJob.Subtask subtask : job.subtasks) {
            subtask.start();
        }
        for (SourceJob.Subtask subtask : job.subtasks) {
            subtask.deliverAll();
        }
    }

    /** What can be read without a checkpoint. */
    private static List<String> read(SourceJob job) {
        job.settle();
        return job.emitted();
    }

    /** The first records of the only subtask. */
    private static List<String> readUpTo(SourceJob job, int records) {
        start(job);
        while (job.emitted().size() < records) {
            assertThat(job.subtasks[0].poll(1) || job.subtasks[0].look()).isTrue();
        }
        return new ArrayList<>(job.emitted());
    }

    /** What can be read in some rounds of the archive. */
    private static List<String> readFollowing(SourceJob job) {
        for (int round = 0; round < 4; round++) {
            job.settle();
            job.subtasks[0].look();
        }
        job.settle();
        return job.emitted();
    }

    /** Over some checkpoints, listings of shards and seconds. */
    private void goOn(SourceJob job) {
        for (int round = 0; round < 4; round++) {
            job.settle();
            job.checkpoint();
            job.settle();
            job.list();
            job.settle();
            stream.passTime(1_000);
        }
        job.settle();
        job.checkpoint();
        job.settle();
    }

    private static Map<String, String> positions(SourceJob job) {
        job.checkpoint();
        return job.positionsIn(job.last());
    }

    private static Map<String, String> archived(Map<String, String> positions) {
        Map<String, String> splits = new TreeMap<>();
        positions.forEach((shard, position) -> splits.put("archive of " + shard, position));
        return splits;
    }

    private static List<String> coveredOnce(SourceJob job) {
        List<String> covered =
                job.covered.stream().map(one -> one.event().position()).toList();
        assertThat(covered).doesNotHaveDuplicates();
        return covered;
    }

    private static Event emittedAs(SourceJob job, String position) {
        return job.covered.stream()
                .map(SourceJob.Emitted::event)
                .filter(event -> event.position().equals(position))
                .findFirst()
                .orElseThrow();
    }

    /** Puts records into a shard, and returns their numbers. */
    private List<String> putInto(String shard, int records) {
        List<String> numbers = new ArrayList<>();
        for (int record = 0; record < records; record++) {
            numbers.add(putInto(shard).number());
        }
        return numbers;
    }

    private ModelKinesis.Put putInto(String shard) {
        int key = 0;
        while (!kinesis.shardOf("key" + key).equals(shard)) {
            key++;
        }
        return kinesis.put("key" + key, "of the stream");
    }

    private static GenericRecord numbered(String number, Long place) throws IOException {
        return Archive.archived(
                "d", number, place, place == null || place == 0 ? null : number + ":" + (place - 1), T, new byte[1]);
    }

    /** A checkpoint of a job of one subtask that reads the stream up to these positions. */
    private SourceJob.Completed streamCheckpoint(Map<String, ShardPosition> positions) throws IOException {
        Set<String> started = new HashSet<>();
        Set<String> ended = new HashSet<>();
        List<byte[]> splits = new ArrayList<>();
        EventSource source = source(null);
        for (Map.Entry<String, ShardPosition> shard : positions.entrySet()) {
            if (shard.getValue().isEnd()) {
                ended.add(shard.getKey());
            } else {
                started.add(shard.getKey());
                splits.add(SimpleVersionedSerialization.writeVersionAndSerialize(
                        source.getSplitSerializer(), new LogSplit.OfStream(split(shard.getKey(), shard.getValue()))));
            }
        }
        EnumeratorState state = new EnumeratorState(ShardPosition.oldest(), true, started, ended, List.of(), Map.of());
        return new SourceJob.Completed(
                1,
                SimpleVersionedSerialization.writeVersionAndSerialize(
                        source.getEnumeratorCheckpointSerializer(), new LogState(false, List.of(), Map.of(), state)),
                List.of(splits));
    }

    private static ShardSplit split(String shard, ShardPosition position) {
        return new ShardSplit(shard, position, "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN);
    }

    /** The same, but taken when the enumerator had heard what the subtask has, and had not given it back. */
    private SourceJob.Completed heldByEnumerator(SourceJob.Completed checkpoint) throws IOException {
        EventSource source = source(upTo(Map.of()));
        LogState state = SimpleVersionedSerialization.readVersionAndDeSerialize(
                source.getEnumeratorCheckpointSerializer(), checkpoint.enumerator());
        List<LogSplit> held = new ArrayList<>();
        for (byte[] split : checkpoint.readers().get(0)) {
            held.add(SimpleVersionedSerialization.readVersionAndDeSerialize(source.getSplitSerializer(), split));
        }
        LogState holding = new LogState(state.isWithinArchive(), held, state.behind(), state.stream());
        return new SourceJob.Completed(
                1,
                SimpleVersionedSerialization.writeVersionAndSerialize(
                        source.getEnumeratorCheckpointSerializer(), holding),
                List.of(List.of()));
    }
}
