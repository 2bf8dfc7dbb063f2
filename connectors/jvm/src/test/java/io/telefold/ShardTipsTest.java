package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ShardTipsTest {

    private static final long NOW = 1_000_000;

    private final ShardTips tips = new ShardTips(1_000);

    private boolean areReached(long now, String... shards) {
        return tips.areReached(List.of(shards), now);
    }

    @Test
    void onceAllShardsHadNothingForLongEnough() {
        tips.polled("a", 5, 0, NOW);
        tips.polled("b", 0, 0, NOW);
        assertThat(areReached(NOW, "a", "b")).isFalse();
        tips.polled("a", 0, 0, NOW + 1_000);
        tips.polled("b", 0, 0, NOW + 1_000);
        assertThat(areReached(NOW + 999, "a", "b")).isFalse();
        assertThat(areReached(NOW + 1_000, "a", "b")).isTrue();
        tips.polled("b", 1, 0, NOW + 1_500);
        assertThat(areReached(NOW + 1_500, "a", "b")).isFalse();
    }

    @Test
    void notWhileOneIsCaughtUpWith() {
        tips.polled("a", 0, 0, NOW);
        tips.polled("b", 0, 60_000, NOW);
        assertThat(areReached(NOW + 5_000, "a", "b")).isFalse();
        tips.polled("b", 0, Long.MAX_VALUE, NOW + 5_000);
        assertThat(areReached(NOW + 5_000, "a", "b")).isFalse();
    }

    @Test
    void notWhileKinesisDoesNotAnswer() {
        tips.polled("a", 0, 0, NOW);
        assertThat(areReached(NOW + 10_000, "a")).isTrue();
        assertThat(areReached(NOW + 10_001, "a")).isFalse();
    }

    @Test
    void notBeforeANewShardHasAnswered() {
        tips.polled("a", 0, 0, NOW);
        assertThat(areReached(NOW + 2_000, "a", "b")).isFalse();
    }

    @Test
    void withoutShardsThatEndedAndNotWithoutAny() {
        tips.polled("a", 0, 0, NOW);
        tips.ended("a");
        assertThat(areReached(NOW + 2_000, "a")).isFalse();
        assertThat(areReached(NOW + 2_000)).isFalse();
    }

    @Test
    void theLagIsThatOfTheOpenShardFarthestBehindOnceAllHaveAnswered() {
        assertThat(tips.behindMs()).isZero();
        tips.begun("a");
        tips.begun("b");
        tips.polled("a", 5, 60_000, NOW);
        assertThat(tips.behindMs()).isEqualTo(-1);
        tips.polled("b", 5, 70_000, NOW);
        assertThat(tips.behindMs()).isEqualTo(70_000);
        tips.ended("b");
        assertThat(tips.behindMs()).isEqualTo(60_000);
        tips.polled("a", 0, Long.MAX_VALUE, NOW);
        assertThat(tips.behindMs()).isEqualTo(-1);
    }

    private boolean areHidden(long now, String... shards) {
        return tips.areHidden(List.of(shards), now);
    }

    @Test
    void aQuietShardHidesWhatKinesisSaysIsThere() {
        tips.polled("a", 5, 60_000, NOW);
        tips.polled("b", 0, 0, NOW);
        assertThat(areHidden(NOW + 999, "a", "b")).isFalse();
        assertThat(areHidden(NOW + 1_000, "a", "b")).isTrue();
        tips.polled("a", 5, 30_000, NOW + 1_000);
        assertThat(areHidden(NOW + 1_000, "a", "b")).isFalse();
        tips.polled("a", 5, 0, NOW + 1_500);
        assertThat(areHidden(NOW + 5_000, "a", "b")).isFalse();
    }

    @Test
    void aShardThatHasNotAnsweredMayHideSomething() {
        tips.polled("a", 0, 0, NOW);
        assertThat(areHidden(NOW, "a", "b")).isTrue();
        assertThat(areHidden(NOW + 10_000, "a")).isFalse();
        assertThat(areHidden(NOW + 10_001, "a")).isTrue();
    }

    @Test
    void aShardOfWhichNobodySaysHowFarItIsIsTakenForQuiet() {
        tips.polled("a", 0, Long.MAX_VALUE, NOW);
        assertThat(areHidden(NOW + 5_000, "a")).isFalse();
    }
}
