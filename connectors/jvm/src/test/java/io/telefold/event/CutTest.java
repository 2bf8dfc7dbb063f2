package io.telefold.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CutTest {

    private static final String LAST = "49590338271490256608559692538361571095921757589136799";

    @ParameterizedTest
    @CsvSource({
        "49590338271490256608559692538361571095921757589136798, true",
        "49590338271490256608559692538361571095921757589136799, true",
        "49590338271490256608559692538361571095921757589136800, false",
        "9999999999999999999999999999999999999999999999999999, true",
        "100000000000000000000000000000000000000000000000000000, false",
        "0, true",
    })
    void reachesUpToItsPositionAsNumbersAreOrdered(String sequenceNumber, boolean within) {
        assertThat(Cut.of(Map.of("shard-0", LAST)).holds(event("shard-0", sequenceNumber)))
                .isEqualTo(within);
    }

    @ParameterizedTest
    @CsvSource({
        "4, , true",
        "5, , true",
        "5, 0, true",
        "5, 9, true",
        "5, 10, true",
        "5, 11, false",
        "6, 0, false",
        "6, , false",
    })
    void reachesIntoAnAggregate(String sequenceNumber, Long place, boolean within) {
        Event event = event("shard-0", sequenceNumber);
        event.subSequenceNumber = place;
        assertThat(Cut.of(Map.of("shard-0", "5:10")).holds(event)).isEqualTo(within);
    }

    @Test
    void holdsNothingOfAShardThatItDoesNotName() {
        assertThat(Cut.of(Map.of("shard-0", LAST)).holds(event("shard-1", "1"))).isFalse();
        assertThat(Cut.of(Map.of()).holds(event("shard-0", "1"))).isFalse();
        assertThat(Cut.nowhere().holds(event("shard-0", "1"))).isFalse();
    }

    @Test
    void isAValueThatTravelsToTheTasks() throws Exception {
        Map<String, String> positions = new HashMap<>(Map.of("shard-0", "5"));
        Cut cut = InstantiationUtil.clone(Cut.of(positions));
        positions.put("shard-0", "7");
        assertThat(cut.holds(event("shard-0", "5"))).isTrue();
        assertThat(cut.holds(event("shard-0", "6"))).isFalse();
    }

    private static Event event(String shard, String sequenceNumber) {
        Event event = Events.event("d", "1", Events.T);
        event.shard = shard;
        event.sequenceNumber = sequenceNumber;
        return event;
    }
}
