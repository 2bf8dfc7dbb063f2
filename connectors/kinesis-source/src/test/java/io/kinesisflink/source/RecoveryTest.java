package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.junit.jupiter.api.Test;

/** Failures of subtasks, of the JobManager, and other parallelisms. */
class RecoveryTest extends ModelTest {

    private void fourShards() {
        kinesis = new ModelKinesis(random, 4);
        for (int i = 0; i < 20; i++) {
            kinesis.put("k" + i, String.valueOf(i));
        }
    }

    @Test
    void afterACrashEachShardGoesOnBehindTheLastCheckpoint() {
        fourShards();
        start(2, with -> with);
        job.checkpoint();
        kinesis.put("k", "more");
        goOn(1_000);
        assertThat(emitted()).contains("more");
        job.crash(2);
        goOn();
        assertThat(emitted()).containsExactly("more");
    }

    @Test
    void withinAnAggregateToo() {
        kinesis.putAggregate(List.of("k", "k", "k"), List.of("1", "2", "3"));
        job = new ModelJob(kinesis, settings(with -> with), 1, random);
        ModelJob.Subtask subtask = job.subtasks[0];
        subtask.start();
        job.list();
        subtask.deliverAll();
        while (subtask.output.records.size() < 2) {
            subtask.poll(1);
        }
        job.checkpoint();
        assertThat(covered()).containsExactly("1", "2");
        job.crash(1);
        goOn();
        assertThat(emitted()).containsExactly("3");
        assertThat(job.subtasks[0].output.records.get(0).previous())
                .isEqualTo(job.covered.get(1).record().position());
    }

    /** Upstream's source does not do this. */
    @Test
    void oneSubtaskIsRestoredAlone() {
        fourShards();
        start(2, with -> with);
        job.checkpoint();
        goOn(1_000);
        ModelJob.Subtask other = job.subtasks[1];
        kinesis.put("x", "more x");
        kinesis.put("y", "more y");
        kinesis.put("z", "more z");
        goOn(1_000);
        job.crash(job.subtasks[0]);
        goOn(1_000);
        assertThat(job.subtasks[1]).isSameAs(other);
        job.checkpoint();
        assertThat(covered()).hasSize(23).doesNotHaveDuplicates();
    }

    @Test
    void shardsThatOneGotSinceTheCheckpointAreGivenBack() {
        fourShards();
        job = new ModelJob(kinesis, settings(with -> with), 2, random);
        job.settle();
        job.checkpoint();
        goOn();
        job.crash(job.subtasks[0]);
        goOn();
        job.checkpoint();
        assertThat(covered()).hasSize(20).doesNotHaveDuplicates();
    }

    @Test
    void oneThatFailsAgainBeforeTheNextCheckpointHasEachShardOnce() {
        fourShards();
        start(2, with -> with);
        job.checkpoint();
        for (int i = 0; i < 3; i++) {
            job.crash(job.subtasks[i % 2]);
            goOn();
        }
        job.checkpoint();
        assertThat(covered()).hasSize(20).doesNotHaveDuplicates();
    }

    @Test
    void afterAnotherParallelismOneThatReportsWhatAnotherReadsIsNotGivenIt() {
        fourShards();
        start(1, with -> with);
        job.checkpoint();
        job.crash(3);
        goOn();
        kinesis.put("k", "more");
        goOn(1_000);
        for (int i = 0; i < 3; i++) {
            job.crash(job.subtasks[i]);
            goOn(1_000);
        }
        job.checkpoint();
        assertThat(covered()).hasSize(21).doesNotHaveDuplicates();
    }

    @Test
    void atAnyParallelismAShardIsReadByTheSubtaskOfItsHash() {
        fourShards();
        start(2, with -> with);
        job.checkpoint();
        for (int parallelism : new int[] {4, 1, 3, 2, 2}) {
            job.crash(parallelism);
            goOn(1_000);
            job.checkpoint();
            for (ModelJob.Subtask subtask : job.subtasks) {
                assertThat(subtask.reader.snapshotState(99)).allSatisfy(split -> assertThat(subtaskOf(split.shardId()))
                        .isSameAs(subtask));
            }
        }
        assertThat(covered()).hasSize(20).doesNotHaveDuplicates();
    }

    @Test
    void whoeverAssignsShardsIsAsked() {
        fourShards();
        start(3, with -> with.assigner((shard, parallelism) -> parallelism - 1));
        assertThat(emitted(job.subtasks[2])).hasSize(20);
    }

    @Test
    void anAssignerThatNamesNoSubtaskIsRefused() {
        assertThatThrownBy(() -> start(2, with -> with.assigner((shard, parallelism) -> parallelism)))
                .hasMessageContaining("names subtask 2 of 2");
    }

    // LATEST

    @Test
    void latestIsWhatTheTimeIsWhenShardsAreFirstListed() {
        kinesis.put("k", "before");
        kinesis.nowMs += 60_000;
        start(1, with -> with.fromLatest());
        kinesis.put("k", "after");
        goOn(1_000);
        assertThat(emitted()).containsExactly("after");
    }

    @Test
    void aRestartBeforeTheFirstRecordLosesNothingThatCameBetween() {
        kinesis.put("k", "before");
        kinesis.nowMs += 60_000;
        start(1, with -> with.fromLatest());
        job.checkpoint();
        kinesis.put("k", "between");
        kinesis.nowMs += 60_000;
        job.crash(1);
        goOn();
        assertThat(emitted()).containsExactly("between");
    }

    @Test
    void aRestartBeforeTheFirstCheckpointLosesNothingThatCameBetween() {
        kinesis.nowMs += 60_000;
        start(1, with -> with.fromLatest());
        kinesis.put("k", "between");
        kinesis.nowMs += 60_000;
        job.crash(1);
        goOn();
        assertThat(emitted()).containsExactly("between");
    }

    @Test
    void aShardMadeBetweenIsReadFromItsBeginning() {
        kinesis.nowMs += 60_000;
        start(1, with -> with.fromLatest());
        job.checkpoint();
        kinesis.split(A);
        kinesis.put("k", "between");
        kinesis.nowMs += 60_000;
        job.crash(1);
        goOn(1_000);
        job.checkpoint();
        goOn(1_000);
        assertThat(emitted()).containsExactly("between");
    }

    // What must not be

    @Test
    void stateOfAShardThatNoSubtaskHasIsAnError() {
        List<Object> sent = new ArrayList<>();
        ModelEnumeratorContext context = new ModelEnumeratorContext(1, new ModelEnumeratorContext.Sent() {
            @Override
            public void event(int subtask, SourceEvent event) {
                sent.add(event);
            }

            @Override
            public void split(int subtask, ShardSplit split) {
                sent.add(split);
            }
        });
        ShardEnumerator enumerator = new ShardEnumerator(
                context,
                settings(with -> with),
                new EnumeratorState(ShardPosition.oldest(), true, Set.of(A), Set.of(), List.of(), Map.of()),
                beginning -> {},
                kinesis,
                () -> kinesis.nowMs,
                random::nextDouble);
        context.readers.put(0, ReaderInfo.createReaderInfo(0, "localhost", List.of()));
        assertThatThrownBy(() -> enumerator.addReader(0)).hasMessageContaining("restore another checkpoint");
        assertThat(sent).isEmpty();
    }
}
