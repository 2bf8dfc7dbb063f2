package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Positions, and what checkpoints hold of them. */
class StateTest {

    private static final List<ShardPosition> ALL = List.of(
            ShardPosition.oldest(),
            ShardPosition.end(),
            ShardPosition.atTime(1_700_000_000_123L),
            ShardPosition.after("49"),
            ShardPosition.after("49", 0L),
            ShardPosition.after("49", 7L));

    @Test
    void aPositionIsAText() {
        assertThat(ALL)
                .extracting(ShardPosition::toString)
                .containsExactly("TRIM_HORIZON", "SHARD_END", "AT_TIMESTAMP:1700000000123", "49", "49:0", "49:7");
        assertThat(ALL).allSatisfy(position -> assertThat(ShardPosition.parse(position.toString()))
                .isEqualTo(position));
    }

    @Test
    void otherTextsAreNone() {
        for (String text : List.of("", "x", "49:", "49:x", ":1", "-1", "AT_TIMESTAMP:", "LATEST")) {
            assertThatThrownBy(() -> ShardPosition.parse(text)).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void aPositionCoversWhatWasReadBeforeIt() {
        ShardPosition behind = ShardPosition.after("100");
        assertThat(behind.covers("99", null)).isTrue();
        assertThat(behind.covers("100", null)).isTrue();
        assertThat(behind.covers("100", 5L)).isTrue();
        assertThat(behind.covers("101", null)).isFalse();
        assertThat(behind.covers("1000", null)).isFalse();
        ShardPosition within = ShardPosition.after("100", 5L);
        assertThat(within.covers("100", 5L)).isTrue();
        assertThat(within.covers("100", 6L)).isFalse();
        assertThat(within.covers("99", 6L)).isTrue();
        assertThat(ShardPosition.oldest().covers("1", null)).isFalse();
        assertThat(ShardPosition.atTime(7).covers("1", null)).isFalse();
        assertThat(ShardPosition.end().covers("1", null)).isTrue();
    }

    @Test
    void splitsAreWhatTheyWere() throws IOException {
        for (ShardPosition position : ALL) {
            ShardSplit split = new ShardSplit("shardId-000000000000", position, "0", "340282366920938463463", 5, 6);
            assertThat(StateSerializers.SPLITS.deserialize(1, StateSerializers.SPLITS.serialize(split)))
                    .isEqualTo(split);
        }
    }

    @Test
    void theStateOfTheEnumeratorIsWhatItWas() throws IOException {
        ShardSplit split =
                new ShardSplit("c", ShardPosition.after("7", 1L), "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN);
        for (EnumeratorState state : List.of(
                new EnumeratorState(null, false, Set.of(), Set.of(), List.of(), Map.of()),
                new EnumeratorState(
                        ShardPosition.atTime(9),
                        true,
                        Set.of("b", "c"),
                        Set.of("a"),
                        List.of(split),
                        Map.of("d", ShardPosition.after("8"))))) {
            assertThat(StateSerializers.ENUMERATOR.deserialize(1, StateSerializers.ENUMERATOR.serialize(state)))
                    .isEqualTo(state);
        }
    }

    /** Whoever changes this breaks the checkpoints of others, and has to raise the version and read both. */
    @Test
    void bytesOfTheFirstVersionAreRead() throws IOException {
        ShardSplit split = new ShardSplit("s", ShardPosition.after("49", 2L), "0", "9", 5, ShardSplit.UNKNOWN);
        String bytes = "000173" + "02" + "00023439" + "01" + "0000000000000002" + "000130" + "000139"
                + "0000000000000005" + "8000000000000000";
        assertThat(HexFormat.of().formatHex(StateSerializers.SPLITS.serialize(split)))
                .isEqualTo(bytes);
        assertThat(StateSerializers.SPLITS.deserialize(1, HexFormat.of().parseHex(bytes)))
                .isEqualTo(split);
    }

    @Test
    void anotherVersionIsRefused() {
        assertThatThrownBy(() -> StateSerializers.SPLITS.deserialize(2, new byte[0]))
                .hasMessageContaining("version 2");
    }
}
