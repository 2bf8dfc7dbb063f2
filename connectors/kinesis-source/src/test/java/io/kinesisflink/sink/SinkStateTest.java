package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

class SinkStateTest {

    private static final SinkStateSerializer SERIALIZER = new SinkStateSerializer();

    @Test
    void recordsAreWhatTheyWereInTheirOrder() throws IOException {
        SinkState state = new SinkState(List.of(
                new PutEntry("\u00e4\uD83D\uDE00", new byte[] {1, 2}),
                new PutEntry("k", new byte[0]),
                new PutEntry("k", new byte[1 << 20])));
        List<PutEntry> read =
                SERIALIZER.deserialize(1, SERIALIZER.serialize(state)).entries();
        assertThat(read).hasSameSizeAs(state.entries());
        for (int i = 0; i < read.size(); i++) {
            PutEntry was = state.entries().get(i);
            assertThat(read.get(i).partitionKey()).isEqualTo(was.partitionKey());
            assertThat(Arrays.equals(read.get(i).data(), was.data())).isTrue();
            assertThat(read.get(i).bytes()).isEqualTo(was.bytes());
        }
        assertThat(SERIALIZER
                        .deserialize(1, SERIALIZER.serialize(new SinkState(List.of())))
                        .entries())
                .isEmpty();
    }

    /** Whoever changes this breaks the checkpoints of others, and has to raise the version and read both. */
    @Test
    void bytesOfTheFirstVersionAreRead() throws IOException {
        SinkState state = new SinkState(List.of(new PutEntry("key", new byte[] {7, 8})));
        String bytes = "00000001" + "00036b6579" + "00000002" + "0708";
        assertThat(HexFormat.of().formatHex(SERIALIZER.serialize(state))).isEqualTo(bytes);
        PutEntry read = SERIALIZER
                .deserialize(1, HexFormat.of().parseHex(bytes))
                .entries()
                .get(0);
        assertThat(read.partitionKey()).isEqualTo("key");
        assertThat(read.data()).containsExactly(7, 8);
        assertThat(read.bytes()).isEqualTo(5);
    }

    @Test
    void anotherVersionIsRefused() {
        assertThatThrownBy(() -> SERIALIZER.deserialize(2, new byte[0]))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("version 2");
    }
}
