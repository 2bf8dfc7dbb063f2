package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.types.Row;
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
        assertThat(Cut.of(Map.of("shard-0", LAST)).holds(row("shard-0", sequenceNumber)))
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
        Row row = row("shard-0", sequenceNumber);
        row.setField(EventRow.SUB_SEQUENCE_NUMBER, place);
        assertThat(Cut.of(Map.of("shard-0", "5:10")).holds(row)).isEqualTo(within);
    }

    @Test
    void holdsNothingOfAShardThatItDoesNotName() {
        assertThat(Cut.of(Map.of("shard-0", LAST)).holds(row("shard-1", "1"))).isFalse();
        assertThat(Cut.of(Map.of()).holds(row("shard-0", "1"))).isFalse();
        assertThat(Cut.nowhere().holds(row("shard-0", "1"))).isFalse();
    }

    @Test
    void isAValueThatTravelsToTheTasks() throws Exception {
        Map<String, String> positions = new HashMap<>(Map.of("shard-0", "5"));
        Cut cut = InstantiationUtil.clone(Cut.of(positions));
        positions.put("shard-0", "7");
        assertThat(cut.holds(row("shard-0", "5"))).isTrue();
        assertThat(cut.holds(row("shard-0", "6"))).isFalse();
    }

    private static Row row(String shard, String sequenceNumber) {
        Row row = Rows.event("d", "1", Rows.T);
        row.setField(EventRow.SHARD, shard);
        row.setField(EventRow.SEQUENCE_NUMBER, sequenceNumber);
        return row;
    }
}
