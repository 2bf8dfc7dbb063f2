package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.junit.jupiter.api.Test;

class ShardLineageTest {

    private static final long NOW = 1_000_000;
    private static final String ENDED =
            SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get().getSequenceNumber();

    private final HashSet<String> jobMaster = new HashSet<>();

    private static ShardLineage fresh() {
        return new ShardLineage(Map.of(), false);
    }

    private static ShardLineage restored(Map<String, String> positions) {
        return new ShardLineage(positions, false);
    }

    private static Set<String> released(ShardLineage lineage, String... shards) {
        lineage.release(NOW);
        Set<String> released = new TreeSet<>(List.of(shards));
        released.removeIf(shard -> !lineage.isReleased(shard));
        return released;
    }

    private static void listSplit(ShardLineage lineage) {
        lineage.listed("p", null, null);
        lineage.listed("c", "p", null);
        lineage.listed("d", "p", null);
    }

    private static void listMerge(ShardLineage lineage) {
        lineage.listed("p", null, null);
        lineage.listed("q", null, null);
        lineage.listed("c", "p", "q");
    }

    private void exchange(ShardLineage... lineages) {
        for (ShardLineage lineage : lineages) {
            Set<String> told = lineage.untold();
            jobMaster.addAll(told);
            lineage.heard(told, jobMaster);
        }
    }

    // Which shards are read

    @Test
    void childrenOfASplitWaitUntilACheckpointCoversTheEndOfTheirParent() {
        ShardLineage lineage = fresh();
        listSplit(lineage);
        assertThat(released(lineage, "p", "c", "d")).containsExactly("p");
        lineage.snapshot(1, Set.of());
        lineage.ended("p");
        lineage.snapshot(2, Set.of("p"));
        lineage.completed(1);
        assertThat(released(lineage, "p", "c", "d")).containsExactly("p");
        lineage.completed(2);
        assertThat(released(lineage, "p", "c", "d")).containsExactly("c", "d", "p");
    }

    @Test
    void aCheckpointThatDidNotCompleteIsMadeUpForByALaterOne() {
        ShardLineage lineage = fresh();
        listSplit(lineage);
        lineage.snapshot(2, Set.of("p"));
        assertThat(released(lineage, "c")).isEmpty();
        lineage.snapshot(3, Set.of("p"));
        lineage.completed(3);
        assertThat(released(lineage, "c")).containsExactly("c");
    }

    @Test
    void theChildOfAMergeWaitsForParentsOfTwoSubtasks() {
        ShardLineage one = fresh();
        ShardLineage other = fresh();
        listMerge(one);
        listMerge(other);
        one.snapshot(1, Set.of("p"));
        one.completed(1);
        exchange(one, other);
        assertThat(released(one, "c")).isEmpty();
        assertThat(released(other, "c")).isEmpty();
        other.snapshot(2, Set.of("q"));
        other.completed(2);
        exchange(other, one);
        assertThat(released(one, "c")).containsExactly("c");
        assertThat(released(other, "c")).containsExactly("c");
    }

    @Test
    void generationsFollowOneAfterTheOther() {
        ShardLineage lineage = fresh();
        lineage.listed("1", null, null);
        lineage.listed("2", "1", null);
        lineage.listed("3", "2", null);
        List<Set<String>> released = new ArrayList<>();
        for (long checkpoint = 1; checkpoint <= 3; checkpoint++) {
            released.add(released(lineage, "1", "2", "3"));
            lineage.snapshot(checkpoint, released.get(released.size() - 1));
            lineage.completed(checkpoint);
        }
        assertThat(released).containsExactly(Set.of("1"), Set.of("1", "2"), Set.of("1", "2", "3"));
    }

    @Test
    void anExpiredParentHasNothingToWaitFor() {
        ShardLineage lineage = fresh();
        lineage.listed("c", "expired", "too");
        assertThat(released(lineage, "c")).containsExactly("c");
    }

    @Test
    void whatWasReadBeforeARestoreIsReadOn() {
        ShardLineage lineage = restored(Map.of("p", "7", "c", "9"));
        listSplit(lineage);
        assertThat(released(lineage, "p", "c", "d")).containsExactly("c", "p");
    }

    @Test
    void aShardThatEndedBeforeARestoreHasEndedForGood() {
        ShardLineage lineage = restored(Map.of("p", ENDED));
        listSplit(lineage);
        assertThat(released(lineage, "c", "d")).containsExactly("c", "d");
        assertThat(lineage.untold()).isEmpty();
        assertThat(lineage.hasToAsk()).isFalse();
    }

    @Test
    void whereReadingBeginsWithinTheStreamAllAreReadAtFirstAndLaterOnesWait() {
        ShardLineage lineage = new ShardLineage(Map.of(), true);
        listSplit(lineage);
        assertThat(released(lineage, "p", "c", "d")).containsExactly("c", "d", "p");
        lineage.listed("e", "c", null);
        assertThat(released(lineage, "e")).isEmpty();
    }

    // What subtasks tell each other

    @Test
    void anEndIsToldUntilItWasHeard() {
        ShardLineage lineage = fresh();
        lineage.listed("p", null, null);
        lineage.release(NOW);
        assertThat(lineage.hasToAsk()).isFalse();
        lineage.snapshot(1, Set.of("p"));
        lineage.completed(1);
        assertThat(lineage.untold()).containsExactly("p");
        assertThat(lineage.hasToAsk()).isTrue();
        exchange(lineage);
        assertThat(lineage.untold()).isEmpty();
        assertThat(lineage.hasToAsk()).isFalse();
        lineage.snapshot(2, Set.of("p"));
        lineage.completed(2);
        assertThat(lineage.untold()).isEmpty();
    }

    @Test
    void whileAnybodysShardWaitsTheOthersAreAsked() {
        ShardLineage lineage = fresh();
        listSplit(lineage);
        lineage.release(NOW);
        assertThat(lineage.hasToAsk()).isTrue();
        lineage.heard(Set.of(), Set.of("p"));
        lineage.release(NOW);
        assertThat(lineage.hasToAsk()).isFalse();
    }

    @Test
    void withoutCheckpointsAnEndIsForGoodAtOnce() {
        ShardLineage lineage = fresh();
        listSplit(lineage);
        lineage.covered(Set.of("p"));
        assertThat(released(lineage, "c")).containsExactly("c");
        assertThat(lineage.untold()).containsExactly("p");
    }

    // Whether time stands still

    @Test
    void fromTheEndOfAShardUntilItsChildrenAreRead() {
        ShardLineage lineage = fresh();
        lineage.listed("p", null, null);
        lineage.release(NOW);
        assertThat(lineage.withoutSuccessors(NOW)).isZero();
        lineage.ended("p");
        assertThat(lineage.withoutSuccessors(NOW)).isEqualTo(1);
        listSplit(lineage);
        lineage.release(NOW);
        assertThat(lineage.withoutSuccessors(NOW + 60_000)).isEqualTo(1);
        lineage.heard(Set.of(), Set.of("p"));
        lineage.release(NOW + 60_000);
        assertThat(lineage.withoutSuccessors(NOW + 60_000 + ShardLineage.BEGUN_WITHIN_MS - 1))
                .isEqualTo(1);
        assertThat(lineage.withoutSuccessors(NOW + 60_000 + ShardLineage.BEGUN_WITHIN_MS))
                .isZero();
    }

    @Test
    void whileTheOtherParentOfItsChildIsRead() {
        ShardLineage lineage = fresh();
        listMerge(lineage);
        lineage.ended("p");
        lineage.covered(Set.of("p"));
        lineage.release(NOW);
        assertThat(lineage.withoutSuccessors(NOW + 60_000)).isEqualTo(1);
        lineage.heard(Set.of(), Set.of("q"));
        lineage.release(NOW + 60_000);
        assertThat(lineage.withoutSuccessors(NOW + 70_000)).isZero();
    }

    @Test
    void notForShardsThatEndedBeforeARestore() {
        ShardLineage lineage = restored(Map.of("p", ENDED));
        lineage.listed("p", null, null);
        lineage.release(NOW);
        assertThat(lineage.withoutSuccessors(NOW)).isZero();
    }
}
