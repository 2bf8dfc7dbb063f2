package io.telefold.event;

import static org.assertj.core.api.Assertions.assertThat;

import io.kinesisflink.source.ShardPosition;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SequenceOrderTest {

    @Test
    void recordsOfAnAggregateFollowOneAnotherBetweenThoseAroundIt() {
        List<String> inOrder = Arrays.asList(
                null,
                "0",
                "9",
                "10",
                "10:0",
                "10:1",
                "10:9",
                "10:10",
                "11",
                "100:7",
                ShardPosition.end().toString());
        for (int a = 0; a < inOrder.size(); a++) {
            for (int b = 0; b < inOrder.size(); b++) {
                assertThat(Integer.signum(SequenceOrder.INSTANCE.compare(inOrder.get(a), inOrder.get(b))))
                        .isEqualTo(Integer.compare(a, b));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "LATEST", "01", "1:", ":1", "1:01", "1:2:3", "-1"})
    void whatIsNoPositionIsNotTakenForOne(String text) {
        assertThat(SequenceOrder.isPosition(text)).isFalse();
    }
}
