package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class ShardEventTimeTest {

    private final ShardEventTime clock = new ShardEventTime(1_000);

    @Test
    void standsAtTheBeginningBeforeTheFirstEvent() {
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(Long.MIN_VALUE));
        clock.extractTimestamp(Rows.rejected(T, new byte[0]), -1);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(Long.MIN_VALUE));
    }

    @Test
    void followsTheNewestEventAndNeverStepsBack() {
        assertThat(clock.extractTimestamp(Rows.event("d", "1", T), -1)).isEqualTo(T);
        assertThat(clock.extractTimestamp(Rows.event("d", "2", T - 500), -1)).isEqualTo(T - 500);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 1_001));
    }

    @Test
    void anEventAsLateAsAllowedIsNotBehindTheWatermark() {
        clock.extractTimestamp(Rows.event("d", "1", T), -1);
        assertThat(clock.getCurrentWatermark().getTimestamp()).isLessThan(T - 1_000);
    }

    @Test
    void aClockThatIsAheadMovesItToTheArrivalAtMost() {
        Row ahead = Rows.event("d", "1", T + 540_000);
        assertThat(clock.extractTimestamp(ahead, -1)).isEqualTo(T + 540_000);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 1_001));
        clock.extractTimestamp(Rows.event("e", "1", T - 1), -1);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 1_001));
    }

    @Test
    void aRejectedRowHasItsArrivalAndMovesNoClock() {
        clock.extractTimestamp(Rows.event("d", "1", T), -1);
        assertThat(clock.extractTimestamp(Rows.rejected(T + 60_000, new byte[0]), -1)).isEqualTo(T + 60_000);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 1_001));
    }
}
