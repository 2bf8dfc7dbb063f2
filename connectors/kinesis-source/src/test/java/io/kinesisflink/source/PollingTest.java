package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kinesisflink.client.Retries;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import software.amazon.awssdk.services.kinesis.model.GetRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;

/** How shards are polled. */
class PollingTest extends ModelTest {

    private static final long DAY_MS = 86_400_000;

    // How often

    /** FLINK-36947. */
    @Test
    void anIdleShardIsAskedNoMoreOftenThanItAllows() {
        start(1, with -> with);
        kinesis.requests.clear();
        for (int i = 0; i < 1_000; i++) {
            job.passTime(10);
            job.settle();
        }
        assertThat(requests("GetRecords")).isBetween(15L, 25L);
    }

    @Test
    void aShardThatHasMoreIsAskedFiveTimesASecond() {
        for (int i = 0; i < 100; i++) {
            kinesis.put("k", String.valueOf(i));
        }
        start(1, with -> with.maxRecords(1));
        kinesis.requests.clear();
        for (int i = 0; i < 500; i++) {
            job.passTime(10);
            job.settle();
        }
        assertThat(requests("GetRecords")).isBetween(24L, 26L);
    }

    @Test
    void noMoreThanTwoMegabytesASecondAreAskedFor() {
        for (int i = 0; i < 20; i++) {
            kinesis.store(A, "k", new byte[1_000_000]);
        }
        start(1, with -> with.maxRecords(4));
        for (int i = 0; i < 500; i++) {
            job.passTime(10);
            job.settle();
        }
        assertThat(job.subtasks[0].output.records).hasSizeBetween(12, 16);
    }

    @Test
    void oneBatchIsFetchedAheadAndNoMore() {
        for (int i = 0; i < 10; i++) {
            kinesis.put("k", String.valueOf(i));
        }
        job = new ModelJob(kinesis, settings(with -> with.maxRecords(2)), 1, random);
        ModelJob.Subtask subtask = job.subtasks[0];
        subtask.start();
        job.list();
        subtask.deliverAll();
        subtask.poll(1);
        for (int i = 0; i < 50; i++) {
            job.passTime(1_000);
            subtask.loop.runTasks();
        }
        assertThat(requests("GetRecords")).isEqualTo(2);
    }

    @Test
    void aSplitThatIsPausedIsNeitherReadNorAskedFor() {
        start(1, with -> with);
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(A), List.of());
        kinesis.put("k", "1");
        goOn(2_000);
        kinesis.requests.clear();
        goOn(2_000);
        assertThat(emitted()).isEmpty();
        assertThat(requests("GetRecords")).isZero();
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(), List.of(A));
        assertThat(job.subtasks[0].reader.isAvailable()).isDone();
        goOn(1_000);
        assertThat(emitted()).containsExactly("1");
    }

    // What goes wrong

    @Test
    void throttlingIsWaitedOutAndCounted() {
        kinesis.put("k", "1");
        kinesis.throttling = 1;
        job = new ModelJob(kinesis, settings(with -> with), 1, random);
        kinesis.throttling = 0;
        goOn();
        kinesis.throttling = 1;
        kinesis.put("k", "2");
        for (int i = 0; i < 240; i++) {
            job.passTime(250);
            job.settle();
        }
        assertThat(count("throttled")).isBetween(5L, 30L);
        kinesis.throttling = 0;
        goOn(10_000);
        assertThat(emitted()).containsExactly("1", "2");
    }

    @Test
    void whatFailsIsTriedForEver() {
        start(1, with -> with);
        kinesis.failing = 1;
        kinesis.put("k", "1");
        for (int i = 0; i < 1_000; i++) {
            job.passTime(1_000);
            job.settle();
        }
        assertThat(count("failedRequests")).isGreaterThan(90);
        kinesis.failing = 0;
        goOn(10_000);
        assertThat(emitted()).containsExactly("1");
    }

    @Test
    void anIteratorThatExpiredIsGotAnewFromTheExactPosition() {
        kinesis.put("k", "1");
        kinesis.putAggregate(List.of("k", "k"), List.of("2", "3"));
        start(1, with -> with.maxRecords(1));
        assertThat(emitted()).containsExactly("1");
        job.passTime(400_000);
        kinesis.put("k", "4");
        goOn(2_000);
        assertThat(emitted()).containsExactly("1", "2", "3", "4");
        assertThat(count("iteratorsExpired")).isPositive();
        assertThat(count("positionsTrimmed")).isZero();
    }

    @Test
    void recordsThatWereTrimmedAreSaidAndCountedAndReadingGoesOn() {
        ModelKinesis.Put first = kinesis.put("k", "1");
        kinesis.put("k", "lost");
        kinesis.nowMs += 3_000;
        kinesis.put("k", "3");
        kinesis.trim(A, 2);
        start(1, with -> with.startingPositions(Map.of(A, ShardPosition.after(first.number()))));
        assertThat(emitted()).containsExactly("3");
        assertThat(count("positionsTrimmed")).isEqualTo(1);
    }

    @Test
    void aJobThatStoodStillForLongerThanTheRetentionSaysForHowLong() {
        kinesis.put("k", "1");
        start(1, with -> with);
        job.checkpoint();
        kinesis.nowMs += DAY_MS;
        kinesis.put("k", "lost");
        kinesis.nowMs += DAY_MS;
        kinesis.put("k", "3");
        kinesis.trim(A, 2);
        job.crash(1);
        goOn();
        assertThat(emitted()).containsExactly("3");
        assertThat(count("positionsTrimmed")).isEqualTo(1);
        assertThat(count("millisTrimmed")).isEqualTo(2 * DAY_MS);
    }

    @Test
    void whatIsTrimmedWhileItIsReadIsCountedToo() {
        for (int i = 1; i <= 6; i++) {
            kinesis.put("k", String.valueOf(i));
        }
        kinesis.nowMs += DAY_MS + 60_000;
        start(1, with -> with.maxRecords(2));
        goOn(250);
        assertThat(emitted()).containsExactly("1", "2", "3");
        kinesis.trim(A, 5);
        goOn(250);
        assertThat(emitted()).containsExactly("1", "2", "3", "6");
        assertThat(count("positionsTrimmed")).isEqualTo(1);
    }

    @Test
    void behindTheRetentionOneRecordAtATimeIsReadToo() {
        for (int i = 1; i <= 4; i++) {
            kinesis.put("k", String.valueOf(i));
        }
        kinesis.nowMs += 2 * DAY_MS;
        start(1, with -> with.maxRecords(1));
        goOn(3_000);
        assertThat(emitted()).containsExactly("1", "2", "3", "4");
        assertThat(count("positionsTrimmed")).isZero();
    }

    @Test
    void aQuietShardLosesItsPositionAndNothingElse() {
        kinesis.put("k", "1");
        start(1, with -> with);
        kinesis.nowMs += 2 * DAY_MS;
        goOn(2_000);
        job.checkpoint();
        kinesis.trim(A, 1);
        kinesis.put("k", "2");
        job.crash(1);
        goOn();
        assertThat(emitted()).containsExactly("2");
        assertThat(count("positionsTrimmed")).isZero();
    }

    @Test
    void aShardThatExpiredIsOverAndCounted() {
        kinesis.put("k", "1");
        start(1, with -> with);
        job.checkpoint();
        kinesis.split(A);
        kinesis.put("k", "2");
        kinesis.expire(A);
        job.crash(1);
        goOn(60_000);
        assertThat(count("positionsTrimmed")).isEqualTo(1);
        job.checkpoint();
        goOn(1_000);
        assertThat(emitted()).containsExactly("2");
    }

    @Test
    void aStreamThatWasDeletedFailsTheJob() {
        start(1, with -> with);
        kinesis.isStreamDeleted = true;
        assertThatThrownBy(() -> goOn(120_000)).hasMessageContaining("exist");
    }

    @Test
    void aReaderThatIsRefusedFailsTheJobAfterBeingSure() {
        kinesis = new ModelKinesis(random, 1) {
            @Override
            public CompletableFuture<GetRecordsResponse> getRecords(GetRecordsRequest request) {
                requests.add("GetRecords");
                return CompletableFuture.failedFuture(denied());
            }
        };
        assertThatThrownBy(() -> {
                    start(1, with -> with);
                    goOn(120_000);
                })
                .hasMessageContaining("refuses to read shard " + A)
                .hasMessageContaining("not authorized");
        assertThat(requests("GetRecords")).isEqualTo(Retries.REFUSALS);
    }

    @Test
    void aClientThatThrowsIsTakenForOneThatFails() {
        kinesis = new ModelKinesis(random, 1) {
            @Override
            public CompletableFuture<GetRecordsResponse> getRecords(GetRecordsRequest request) {
                if (failing > 0) {
                    throw new IllegalStateException("closed");
                }
                return super.getRecords(request);
            }
        };
        kinesis.put("k", "1");
        kinesis.failing = 1e-9;
        start(1, with -> with);
        goOn(1_000);
        kinesis.failing = 0;
        goOn(10_000);
        assertThat(emitted()).containsExactly("1");
    }

    // The end

    @Test
    void afterItsCloseAReaderIsNeitherAnsweredNorAsks() {
        kinesis.put("k", "1");
        kinesis.throttling = 1;
        kinesis.isDelayed = true;
        job = new ModelJob(kinesis, settings(with -> with), 1, random);
        kinesis.throttling = 0;
        goOn();
        kinesis.throttling = 1;
        job.subtasks[0].reader.close();
        kinesis.requests.clear();
        kinesis.answerAll();
        job.passTime(60_000);
        job.subtasks[0].loop.runTasks();
        assertThat(kinesis.requests).isEmpty();
        assertThat(job.subtasks[0].loop.isClosed()).isTrue();
        job.subtasks[0].reader = null;
    }

    @Test
    @Timeout(value = 30, unit = TimeUnit.SECONDS)
    void noThreadIsLeft() throws Exception {
        kinesis.throttling = 1;
        TaskLoop loop = new TaskLoop();
        ShardReader<KinesisRecord> reader = new ShardReader<>(
                new ModelReaderContext(0, 1, event -> {}), settings(with -> with), new AsItIs(), kinesis, loop);
        reader.addSplits(
                List.of(new ShardSplit(A, ShardPosition.oldest(), "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN)));
        while (kinesis.requests.size() < 2) {
            reader.isAvailable().get();
            reader.pollNext(new ModelOutput());
        }
        reader.close();
        while (Thread.getAllStackTraces().keySet().stream()
                .anyMatch(thread -> thread.getName().equals("kinesis-source-timer"))) {
            Thread.onSpinWait();
        }
    }

    // Metrics

    @Test
    void metricsAreNamedAsManagedFlinkNamesThem() {
        kinesis.put("k", "1");
        kinesis.nowMs += 3_000;
        kinesis.put("k", "2");
        start(1, with -> with.maxRecords(1));
        ModelReaderContext metrics = job.subtasks[0].readerContext;
        assertThat(metrics.gauge("KinesisConsumer.stream.s.shardId." + A + ".millisBehindLatest"))
                .isEqualTo(1);
        assertThat(metrics.gauge("KinesisConsumer.behindMs")).isEqualTo(1);
        goOn(1_000);
        assertThat(metrics.gauge("KinesisConsumer.stream.s.shardId." + A + ".millisBehindLatest"))
                .isZero();
        assertThat(metrics.gauge("KinesisConsumer.behindMs")).isZero();
        assertThat(metrics.gauge("KinesisConsumer.shardsWaiting")).isZero();
    }

    @Test
    void whileAShardWaitsTheLagIsUnknown() {
        kinesis.split(A);
        start(1, with -> with);
        goOn(2_000);
        ModelReaderContext metrics = job.subtasks[0].readerContext;
        assertThat(metrics.gauge("KinesisConsumer.shardsWaiting")).isEqualTo(3);
        assertThat(metrics.gauge("KinesisConsumer.behindMs")).isEqualTo(-1);
        job.checkpoint();
        goOn(10_000);
        assertThat(metrics.gauge("KinesisConsumer.shardsWaiting")).isZero();
        assertThat(metrics.gauge("KinesisConsumer.behindMs")).isZero();
    }
}
