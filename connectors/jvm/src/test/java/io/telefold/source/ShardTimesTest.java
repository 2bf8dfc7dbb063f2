package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ShardTimesTest {

    private static final long NOW = 1_000_000;
    private static final long NEVER = Long.MIN_VALUE;

    private final ShardTimes times = new ShardTimes();

    @BeforeEach
    void begin() {
        times.begun("a");
    }

    private void poll(String shard, long asked, long behindMs) {
        times.asked(shard, asked);
        times.readNothing(shard, behindMs);
        times.wasOpen(shard);
    }

    private void poll(String shard, long asked, long arrival, long behindMs) {
        times.asked(shard, asked);
        times.read(shard, arrival, behindMs);
        times.wasOpen(shard);
    }

    @Test
    void atTheTipItIsWhenKinesisWasAskedWhetherRecordsComeOrNot() {
        poll("a", NOW, 0);
        assertThat(times.time()).isEqualTo(NOW);
        poll("a", NOW + 200, NOW - 60_000, 0);
        assertThat(times.time()).isEqualTo(NOW + 200);
        poll("a", NOW + 400, NOW + 450, 0);
        assertThat(times.time()).isEqualTo(NOW + 450);
    }

    @Test
    void whileItCatchesUpItFollowsArrivals() {
        poll("a", NOW, NOW - 600_000, 590_000);
        assertThat(times.time()).isEqualTo(NOW - 600_000);
        poll("a", NOW + 200, NOW - 500_000, 1);
        assertThat(times.time()).isEqualTo(NOW - 500_000);
    }

    @Test
    void overAStretchWithoutRecordsItIsAsFarAsKinesisSays() {
        poll("a", NOW, 400_000);
        assertThat(times.time()).isEqualTo(NOW - 400_000);
    }

    @Test
    void itNeverGoesBack() {
        poll("a", NOW, 0);
        poll("a", NOW + 200, NOW - 5_000, 3_000);
        assertThat(times.time()).isEqualTo(NOW);
        poll("a", NOW - 9_000, 0);
        assertThat(times.time()).isEqualTo(NOW);
    }

    @Test
    void theShardThatIsFarthestBehindHoldsTheOthers() {
        times.begun("b");
        poll("a", NOW, 0);
        poll("b", NOW, NOW - 600_000, 590_000);
        assertThat(times.time()).isEqualTo(NOW - 600_000);
        poll("b", NOW + 200, 0);
        assertThat(times.time()).isEqualTo(NOW);
        poll("a", NOW + 60_000, 0);
        assertThat(times.time()).isEqualTo(NOW + 200);
    }

    @Test
    void aShardOfWhichKinesisTellsNothingHoldsTime() {
        times.begun("b");
        assertThat(times.time()).isEqualTo(NEVER);
        poll("a", NOW, 0);
        assertThat(times.time()).isEqualTo(NEVER);
        times.asked("b", NOW);
        times.wasOpen("b");
        assertThat(times.time()).isEqualTo(NEVER);
        poll("b", NOW, 0);
        times.asked("b", NOW + 60_000);
        poll("a", NOW + 60_000, 0);
        times.wasOpen("b");
        assertThat(times.time()).isEqualTo(NOW);
    }

    @Test
    void whatIsBeingHandedOnMovesNothingYet() {
        poll("a", NOW, 0);
        times.asked("a", NOW + 200);
        assertThat(times.time()).isEqualTo(NOW);
        times.read("a", NOW + 100, 0);
        assertThat(times.time()).isEqualTo(NOW + 100);
    }

    @Test
    void aShardThatWasClosedHasTheTimeOfItsRecordsAlone() {
        times.asked("a", NOW);
        times.read("a", NOW - 70_000, 0);
        assertThat(times.time()).isEqualTo(NOW - 70_000);
        times.asked("a", NOW + 200);
        times.readNothing("a", 0);
        assertThat(times.time()).isEqualTo(NOW - 70_000);
    }

    @Test
    void whereKinesisDoesNotSayHowFarItIsItGoesByWhatWasReadAndThenByTheClock() {
        poll("a", NOW, NOW - 30_000, ShardTimes.UNKNOWN);
        assertThat(times.time()).isEqualTo(NOW - 30_000);
        poll("a", NOW + 200, ShardTimes.UNKNOWN);
        assertThat(times.time()).isEqualTo(NOW + 200);
    }

    @Test
    void ofAShardThatHasEndedNobodyIsWaitedForAndItDoesNotComeBack() {
        times.begun("b");
        poll("a", NOW, 0);
        times.ended("b");
        assertThat(times.time()).isEqualTo(NOW);
        poll("b", NOW - 1_000, 0);
        assertThat(times.time()).isEqualTo(NOW);
        times.ended("a");
        assertThat(times.isEmpty()).isTrue();
        assertThat(times.time()).isEqualTo(NEVER);
    }

    @Test
    void whoeverIsTaughtOtherwiseIsTakenAtItsWord() {
        times.reached("a", NOW);
        assertThat(times.time()).isEqualTo(NOW);
        assertThat(times.behindMs()).isZero();
        poll("a", NOW + 200, NOW + 100, 70_000);
        assertThat(times.behindMs()).isEqualTo(70_000);
        times.reached("a", NOW + 300);
        assertThat(times.behindMs()).isZero();
    }

    @Test
    void theLagIsThatOfTheOpenShardFarthestBehindOnceAllHaveAnswered() {
        times.begun("b");
        poll("a", NOW, NOW, 60_000);
        assertThat(times.behindMs()).isEqualTo(-1);
        poll("b", NOW, NOW, 70_000);
        assertThat(times.behindMs()).isEqualTo(70_000);
        times.ended("b");
        assertThat(times.behindMs()).isEqualTo(60_000);
        poll("a", NOW, ShardTimes.UNKNOWN);
        assertThat(times.behindMs()).isEqualTo(-1);
        times.ended("a");
        assertThat(times.behindMs()).isZero();
    }
}
