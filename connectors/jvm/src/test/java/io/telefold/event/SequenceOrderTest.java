package io.telefold.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.apache.flink.streaming.connectors.kinesis.model.SentinelSequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SequenceOrderTest {

    private static final SequenceNumber ENDED = SentinelSequenceNumber.SENTINEL_SHARD_ENDING_SEQUENCE_NUM.get();

    @Test
    void recordsOfAnAggregateFollowOneAnotherBetweenThoseAroundIt() {
        List<String> inOrder = Arrays.asList(
                null, "0", "9", "10", "10:0", "10:1", "10:9", "10:10", "11", "100:7", ENDED.getSequenceNumber());
        for (int a = 0; a < inOrder.size(); a++) {
            for (int b = 0; b < inOrder.size(); b++) {
                assertThat(Integer.signum(SequenceOrder.INSTANCE.compare(inOrder.get(a), inOrder.get(b))))
                        .isEqualTo(Integer.compare(a, b));
            }
        }
    }

    @Test
    void aPositionIsAStateOfTheConsumerAndBack() {
        for (SequenceNumber state :
                List.of(new SequenceNumber("10"), new SequenceNumber("10", 0), new SequenceNumber("10", 12), ENDED)) {
            assertThat(SequenceOrder.stateOf(SequenceOrder.positionOf(state))).isEqualTo(state);
        }
    }

    @Test
    void aPlaceToStartAtIsNoPosition() {
        assertThat(SequenceOrder.positionOf(SentinelSequenceNumber.SENTINEL_EARLIEST_SEQUENCE_NUM.get()))
                .isNull();
        assertThat(SequenceOrder.positionOf(SentinelSequenceNumber.SENTINEL_LATEST_SEQUENCE_NUM.get()))
                .isNull();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "LATEST", "01", "1:", ":1", "1:01", "1:2:3", "-1"})
    void whatIsNoPositionIsNotTakenForOne(String text) {
        assertThat(SequenceOrder.isPosition(text)).isFalse();
    }
}
