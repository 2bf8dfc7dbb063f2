package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Shards that are split and merged. */
class ReshardingTest extends ModelTest {

    @Test
    void childrenOfASplitWaitUntilACheckpointCoversTheEndOfTheirParent() {
        kinesis.put("k", "1");
        start(2, with -> with);
        kinesis.split(A);
        kinesis.put("k", "2");
        job.checkpoint();
        goOn(2_000);
        assertThat(emitted()).containsExactly("1");
        job.beginCheckpoint();
        for (ModelJob.Subtask subtask : job.subtasks) {
            job.snapshot(subtask);
        }
        goOn(2_000);
        assertThat(emitted()).containsExactly("1");
        job.complete();
        goOn();
        assertThat(emitted()).containsExactlyInAnyOrder("1", "2");
    }

    @Test
    void aCheckpointThatDoesNotCompleteReleasesNothing() {
        kinesis.put("k", "1");
        start(1, with -> with);
        kinesis.split(A);
        kinesis.put("k", "2");
        goOn(2_000);
        job.beginCheckpoint();
        job.snapshot(job.subtasks[0]);
        job.abort();
        goOn(2_000);
        assertThat(emitted()).containsExactly("1");
        job.checkpoint();
        goOn();
        assertThat(emitted()).containsExactly("1", "2");
    }

    @Test
    void theChildOfAMergeWaitsForBothParentsWhicheverSubtasksReadThem() {
        kinesis = new ModelKinesis(random, 2);
        start(2, with -> with);
        String child = kinesis.merge(A);
        kinesis.store(child, "k", "1".getBytes());
        subtaskOf(A).reader.pauseOrResumeSplits(List.of(A), List.of());
        goOn(2_000);
        job.checkpoint();
        goOn(2_000);
        assertThat(emitted()).isEmpty();
        subtaskOf(A).reader.pauseOrResumeSplits(List.of(), List.of(A));
        goOn(2_000);
        assertThat(emitted()).isEmpty();
        job.checkpoint();
        goOn();
        assertThat(emitted()).containsExactly("1");
    }

    @Test
    void eachGenerationTakesACheckpoint() {
        kinesis.put("k", "1");
        kinesis.split(A);
        kinesis.put("k", "2");
        kinesis.split(kinesis.shardOf("k"));
        kinesis.put("k", "3");
        start(1, with -> with);
        assertThat(emitted()).containsExactly("1");
        job.checkpoint();
        goOn(1_000);
        assertThat(emitted()).containsExactly("1", "2");
        job.checkpoint();
        goOn(1_000);
        assertThat(emitted()).containsExactly("1", "2", "3");
    }

    @Test
    void withoutCheckpointsChildrenAreReadAtOnce() {
        kinesis.put("k", "1");
        kinesis.split(A);
        kinesis.put("k", "2");
        start(2, with -> with.withoutCheckpoints());
        goOn(1_000);
        assertThat(emitted()).containsExactlyInAnyOrder("1", "2");
    }

    @Test
    void anExpiredParentIsNotWaitedFor() {
        kinesis.split(A);
        kinesis.expire(A);
        kinesis.put("k", "1");
        start(1, with -> with);
        assertThat(emitted()).containsExactly("1");
    }

    /** FLINK-37627: a checkpoint between the end of a shard and the start of its children. */
    @Test
    void restoredAtASplitNothingIsLost() {
        kinesis.put("k", "1");
        start(2, with -> with);
        kinesis.split(A);
        kinesis.put("k", "2");
        kinesis.put("other", "3");
        goOn(2_000);
        job.checkpoint();
        job.crash(2);
        goOn(2_000);
        job.checkpoint();
        assertThat(covered()).containsExactlyInAnyOrder("1", "2", "3");
    }

    @Test
    void anEndIsToldUntilTheEnumeratorHasHeardIt() {
        start(1, with -> with);
        kinesis.split(A);
        kinesis.put("k", "1");
        goOn(2_000);
        job.checkpoint();
        job.subtasks[0].deliverAll();
        job.subtasks[0].loseMessages();
        goOn(1_000);
        assertThat(emitted()).isEmpty();
        goOn(6_000);
        assertThat(emitted()).containsExactly("1");
    }

    @Test
    void anEndThatWasNotHeardIsInTheStateOfTheSubtask() {
        start(1, with -> with);
        kinesis.split(A);
        kinesis.put("k", "1");
        goOn(2_000);
        job.checkpoint();
        job.crash(job.subtasks[0]);
        goOn();
        assertThat(emitted()).containsExactly("1");
    }

    @Test
    void anEndThatWasHeardIsInTheStateOfTheEnumerator() {
        start(1, with -> with);
        kinesis.split(A);
        kinesis.put("k", "1");
        goOn(2_000);
        job.checkpoint();
        goOn(2_000);
        assertThat(job.subtasks[0].reader.snapshotState(99))
                .extracting(ShardSplit::shardId)
                .doesNotContain(A);
        job.checkpoint();
        job.crash(3);
        kinesis.put("k", "2");
        goOn(2_000);
        job.checkpoint();
        assertThat(covered()).containsExactly("1", "2");
        assertThat(requests("GetShardIterator " + A)).isEqualTo(1);
    }

    @Test
    void aFirstRunFromATimeReadsAllShardsThatItFindsAndLaterOnesInOrder() {
        kinesis.put("k", "1");
        kinesis.nowMs += 10_000;
        kinesis.put("k", "2");
        kinesis.split(A);
        kinesis.put("k", "3");
        start(1, with -> with.fromTimestamp(Instant.ofEpochMilli(kinesis.nowMs - 5_000)));
        assertThat(emitted()).containsExactlyInAnyOrder("2", "3");
        kinesis.split(kinesis.shardOf("k"));
        kinesis.put("k", "4");
        goOn(2_000);
        assertThat(emitted()).doesNotContain("4");
        job.checkpoint();
        goOn();
        assertThat(emitted()).contains("4");
    }

    @Test
    void aLaterShardWaitsForAllOfWhichItCameAlsoIfTheyWereReadAtOnce() {
        kinesis.put("k", "1");
        kinesis.split(A);
        String child = kinesis.shardOf("k");
        job = new ModelJob(
                kinesis, settings(with -> with.fromTimestamp(Instant.ofEpochMilli(kinesis.nowMs))), 1, random);
        job.settle();
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(A), List.of());
        goOn();
        kinesis.split(child);
        kinesis.put("k", "2");
        goOn(2_000);
        job.checkpoint();
        goOn(2_000);
        assertThat(emitted()).isEmpty();
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(), List.of(A));
        goOn(2_000);
        job.checkpoint();
        goOn(2_000);
        assertThat(emitted()).containsExactly("1", "2");
    }

    @Test
    void shardsThatWereClosedBeforeTheTimeAreNotListed() {
        kinesis.split(A);
        kinesis.nowMs += 60_000;
        start(1, with -> with.fromTimestamp(Instant.ofEpochMilli(kinesis.nowMs - 5_000)));
        assertThat(kinesis.requests).contains("ListShards FROM_TIMESTAMP");
        assertThat(requests("GetShardIterator " + A)).isZero();
        assertThat(requests("GetShardIterator")).isEqualTo(2);
    }

    // Starting positions

    @Test
    void shardsGoOnBehindTheirStartingPositions() {
        ModelKinesis.Put first = kinesis.put("k", "1");
        kinesis.put("k", "2");
        start(1, with -> with.startingPositions(Map.of(A, ShardPosition.after(first.number()))));
        assertThat(emitted()).containsExactly("2");
        assertThat(job.subtasks[0].output.records.get(0).previous()).hasToString(first.number());
    }

    @Test
    void aStartingPositionMayLieWithinAnAggregate() {
        List<ModelKinesis.Put> puts = kinesis.putAggregate(List.of("k", "k", "k"), List.of("1", "2", "3"));
        start(
                1,
                with -> with.startingPositions(
                        Map.of(A, ShardPosition.after(puts.get(1).number(), 1L))));
        assertThat(emitted()).containsExactly("3");
        assertThat(job.subtasks[0].output.records.get(0).subSequenceNumber()).isEqualTo(2);
    }

    @Test
    void aShardThatHasEndedByItsStartingPositionIsNotReadAndItsChildrenAre() {
        kinesis.put("k", "1");
        kinesis.split(A);
        kinesis.put("k", "2");
        start(1, with -> with.startingPositions(Map.of(A, ShardPosition.end())));
        assertThat(emitted()).containsExactly("2");
    }

    @Test
    void aShardWithAStartingPositionDoesNotWaitForItsParents() {
        kinesis.put("k", "1");
        kinesis.split(A);
        ModelKinesis.Put second = kinesis.put("k", "2");
        kinesis.put("k", "3");
        start(1, with -> with.startingPositions(Map.of(second.shard(), ShardPosition.after(second.number()))));
        assertThat(emitted()).containsExactlyInAnyOrder("1", "3");
    }

    @Test
    void aShardWithoutAStartingPositionWaitsForItsParentsAlsoWhereReadingBeginsAtATime() {
        ModelKinesis.Put first = kinesis.put("k", "1");
        kinesis.put("k", "2");
        kinesis.split(A);
        kinesis.put("k", "3");
        start(1, with -> with.fromTimestamp(Instant.ofEpochMilli(kinesis.nowMs - 1))
                .startingPositions(Map.of(A, ShardPosition.after(first.number()))));
        assertThat(emitted()).containsExactly("2");
        job.checkpoint();
        goOn(1_000);
        assertThat(emitted()).containsExactly("2", "3");
    }

    @Test
    void aStartingPositionIsKeptUntilItsShardIsListed() {
        job = new ModelJob(
                kinesis,
                settings(with -> with.startingPositions(Map.of("shardId-000000000009", ShardPosition.after("7")))),
                1,
                random);
        goOn();
        assertThat(job.enumerator.snapshotState(1).given()).containsKey("shardId-000000000009");
    }

    @Test
    void latestWithStartingPositionsWouldLeaveSomethingOut() {
        KinesisSourceBuilder<KinesisRecord> builder = KinesisSource.builder("s", new AsItIs())
                .fromLatest()
                .startingPositions(Map.of(A, ShardPosition.after("7")));
        assertThatThrownBy(builder::build).hasMessageContaining("LATEST");
    }
}
