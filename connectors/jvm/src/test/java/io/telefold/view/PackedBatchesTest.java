package io.telefold.view;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.types.Row;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PackedBatchesTest {

    @ParameterizedTest
    @ValueSource(strings = {"", "{\"sort\":\"a\"}\n{\"sort\":\"b\"}", "{\"sort\":\"Zürich \uD83C\uDF21 \u2028\"}"})
    void aBatchIsTheSameOnTheOtherSide(String lines) throws Exception {
        TypeSerializer<Row> serializer = PackedBatches.type().createSerializer(new SerializerConfigImpl());
        DataOutputSerializer out = new DataOutputSerializer(64);
        serializer.serialize(PackedBatches.pack().map(Row.of(2, lines)), out);
        Row packed = serializer.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));
        assertThat(PackedBatches.unpack().map(packed)).isEqualTo(Row.of(2, lines));
    }
}
