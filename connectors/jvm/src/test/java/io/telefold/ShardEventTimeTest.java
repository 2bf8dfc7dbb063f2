package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class ShardEventTimeTest {

    private final ShardEventTime clock = new ShardEventTime(1_000, 10_000);

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
    void aRejectedRowHasItsArrivalAndMovesNoClockWhileEventsCome() {
        for (long arrival = T; arrival < T + 60_000; arrival += 9_999) {
            event(arrival, T - 86_400_000);
            assertThat(rejected(arrival)).isEqualTo(arrival);
        }
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 86_401_001));
    }

    @Test
    void rejectedRowsAloneDoNotHoldTheTimeOfOtherShards() {
        event(T, T - 5_000);
        rejected(T + 9_999);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T - 6_001));
        rejected(T + 10_000);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T + 8_999));
        event(T + 10_001, T);
        rejected(T + 10_002);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T + 8_999));
    }

    @Test
    void aShardThatNeverHadAnEventGoesOnWithItsRejectedRows() {
        rejected(T);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(Long.MIN_VALUE));
        rejected(T + 10_000);
        assertThat(clock.getCurrentWatermark()).isEqualTo(new Watermark(T + 8_999));
    }

    private long rejected(long arrival) {
        return clock.extractTimestamp(Rows.rejected(arrival, new byte[0]), -1);
    }

    private void event(long arrival, long eventTime) {
        Row event = Rows.event("d", "1", eventTime);
        event.setField(EventRow.ARRIVAL, arrival);
        clock.extractTimestamp(event, -1);
    }
}
