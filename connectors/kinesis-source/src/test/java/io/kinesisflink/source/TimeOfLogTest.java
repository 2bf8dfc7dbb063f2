package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The watermark that the source itself emits. */
class TimeOfLogTest extends ModelTest {

    private static final long NEVER = Long.MIN_VALUE;

    private void startWithTime(int parallelism) {
        start(parallelism, with -> with.timeOfLog());
    }

    private long time(ModelJob.Subtask subtask) {
        return subtask.output.watermark;
    }

    /** Not that of its hash: the other one of two. */
    private ModelJob.Subtask otherThan(ModelJob.Subtask subtask) {
        return job.subtasks[1 - subtask.index];
    }

    @Test
    void atTheTipItIsTheClockLessASecondWhetherRecordsComeOrNot() {
        kinesis.put("k", "1");
        startWithTime(1);
        assertThat(time(job.subtasks[0])).isEqualTo(kinesis.nowMs - TimeOfLog.SLACK_MS);
        goOn(5_000);
        assertThat(time(job.subtasks[0])).isBetween(kinesis.nowMs - TimeOfLog.SLACK_MS - 500, kinesis.nowMs);
        kinesis.put("k", "2");
        goOn(5_000);
        assertThat(time(job.subtasks[0])).isBetween(kinesis.nowMs - TimeOfLog.SLACK_MS - 500, kinesis.nowMs);
    }

    @Test
    void whileItCatchesUpItFollowsArrivals() {
        long began = kinesis.nowMs;
        kinesis.put("k", "1");
        kinesis.nowMs += 600_000;
        kinesis.put("k", "2");
        kinesis.nowMs += 600_000;
        kinesis.put("k", "3");
        kinesis.nowMs += 600_000;
        start(1, with -> with.timeOfLog().maxRecords(1));
        assertThat(time(job.subtasks[0])).isEqualTo(began - TimeOfLog.SLACK_MS);
        job.passTime(200);
        job.settle();
        assertThat(time(job.subtasks[0])).isEqualTo(began + 600_000 - TimeOfLog.SLACK_MS);
        job.passTime(200);
        goOn();
        assertThat(time(job.subtasks[0])).isEqualTo(kinesis.nowMs - TimeOfLog.SLACK_MS);
    }

    @Test
    void itIsNeverAheadOfTheLastListing() {
        startWithTime(1);
        long listed = kinesis.nowMs;
        for (int i = 0; i < 100; i++) {
            job.passTime(250);
            job.settle();
        }
        assertThat(time(job.subtasks[0])).isEqualTo(listed - 1);
    }

    @Test
    void aSubtaskWithoutShardsIsAsFarAsTheListingAndNotIdle() {
        startWithTime(2);
        ModelJob.Subtask without = otherThan(subtaskOf(A));
        assertThat(time(without)).isEqualTo(kinesis.nowMs - 1);
        goOn(5_000);
        assertThat(time(without)).isEqualTo(kinesis.nowMs - 1);
        assertThat(without.output.wasIdle).isFalse();
    }

    @Test
    void aShardThatDoesNotAnswerHoldsIt() {
        kinesis = new ModelKinesis(random, 2);
        kinesis.isDelayed = true;
        job = new ModelJob(kinesis, settings(with -> with.timeOfLog()), 1, random);
        ModelJob.Subtask subtask = job.subtasks[0];
        subtask.start();
        job.list();
        subtask.deliverAll();
        kinesis.answerOne();
        subtask.poll(10);
        kinesis.answerOne();
        subtask.poll(10);
        assertThat(time(subtask)).isEqualTo(NEVER);
        goOn(1_000);
        assertThat(time(subtask)).isGreaterThan(NEVER);
    }

    @Test
    void aPausedSplitHoldsIt() {
        startWithTime(1);
        long before = time(job.subtasks[0]);
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(A), List.of());
        goOn(5_000);
        assertThat(time(job.subtasks[0])).isLessThanOrEqualTo(before + 250);
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(), List.of(A));
        goOn(1_000);
        assertThat(time(job.subtasks[0])).isGreaterThan(before + 5_000);
    }

    @Test
    void itStandsStillFromTheEndOfAShardUntilItsChildrenAreRead() {
        startWithTime(2);
        ModelJob.Subtask parents = subtaskOf(A);
        kinesis.split(A);
        goOn(2_000);
        long held = time(parents);
        goOn(20_000);
        assertThat(time(parents)).isEqualTo(held);
        job.checkpoint();
        goOn(ShardOrder.BEGUN_WITHIN_MS - 500);
        assertThat(time(parents)).isEqualTo(held);
        goOn(2_000);
        assertThat(time(parents)).isGreaterThan(held + 20_000);
    }

    /** The window in which a subtask is told begins when it is told, not when another one is. */
    @Test
    void whoeverReadAShardHearsThatItsChildrenAreReadHoweverLateTheNextListingIs() {
        startWithTime(2);
        ModelJob.Subtask parents = subtaskOf(A);
        kinesis.split(A);
        goOn(2_000);
        job.checkpoint();
        job.settle();
        job.passTime(10_000);
        job.crash(otherThan(parents));
        job.settle();
        job.passTime(100_000);
        goOn(1_000);
        assertThat(time(parents)).isGreaterThan(kinesis.nowMs - 3_000);
    }

    @Test
    void itStandsStillFromWhenAShardIsListedUntilItIsRead() {
        startWithTime(2);
        kinesis.split(A);
        goOn(2_000);
        assertThat(subtaskOf(B)).isNotSameAs(subtaskOf(C));
        long[] held = {time(subtaskOf(B)), time(subtaskOf(C))};
        kinesis.put("k", "1");
        kinesis.put("other", "2");
        goOn(20_000);
        assertThat(time(subtaskOf(B))).isEqualTo(held[0]);
        assertThat(time(subtaskOf(C))).isEqualTo(held[1]);
        job.checkpoint();
        goOn(10_000);
        assertThat(time(subtaskOf(B))).isGreaterThan(held[0] + 20_000);
        assertThat(time(subtaskOf(C))).isGreaterThan(held[1] + 20_000);
    }

    @Test
    void aShardThatWasClosedHasTheTimeOfItsRecordsAlone() {
        kinesis.endsWithLastRecord = false;
        long arrival = kinesis.nowMs;
        kinesis.put("k", "1");
        kinesis.nowMs += 5_000;
        kinesis.split(A);
        kinesis.nowMs += 5_000;
        startWithTime(1);
        assertThat(job.subtasks[0].reader.snapshotState(1))
                .singleElement()
                .satisfies(split -> assertThat(split.readToMs()).isEqualTo(arrival));
    }

    @Test
    void afterARestoreItIsNotKnownUntilAllShardsAreThereAgain() {
        kinesis = new ModelKinesis(random, 4);
        startWithTime(2);
        job.checkpoint();
        job.crash(3);
        job.subtasks[0].start();
        job.list();
        job.subtasks[0].deliverAll();
        job.subtasks[0].poll(100);
        goOn(1_000);
        for (ModelJob.Subtask subtask : job.subtasks) {
            assertThat(time(subtask)).isGreaterThan(kinesis.nowMs - 3_000);
        }
    }

    @Test
    void withoutTheOptionThereIsNone() {
        start(1, with -> with);
        kinesis.put("k", "1");
        goOn(5_000);
        assertThat(time(job.subtasks[0])).isEqualTo(NEVER);
        assertThat(job.subtasks[0].output.stamps)
                .containsExactly(kinesis.puts.get(0).arrivalMs());
    }

    @Test
    void theOutputOfAnEndedSplitIsReleasedWhenItsChildrenAreRead() {
        start(1, with -> with);
        kinesis.split(A);
        goOn(2_000);
        job.checkpoint();
        goOn(2_000);
        assertThat(job.subtasks[0].output.released).isEmpty();
        goOn(10_000);
        assertThat(job.subtasks[0].output.released).containsExactly(A);
    }
}
