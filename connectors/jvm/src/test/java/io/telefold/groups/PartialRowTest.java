package io.telefold.groups;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.view.Totals;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class PartialRowTest {

    @Test
    void totalsGoWholeFromOneTaskToAnother() throws Exception {
        Totals totals = new Totals();
        totals.add(-5, 1.5, 0.25);
        totals.add(9, -2.5, 0);
        TypeSerializer<Row> serializer = PartialRow.type().createSerializer(new SerializerConfigImpl());
        DataOutputSerializer out = new DataOutputSerializer(64);
        serializer.serialize(PartialRow.of("1m#t#0#all", 60_000, totals), out);
        Row row = serializer.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));
        assertThat(PartialRow.key(row)).isEqualTo("1m#t#0#all");
        assertThat(PartialRow.start(row)).isEqualTo(60_000);
        assertThat(PartialRow.totals(row)).usingRecursiveComparison().isEqualTo(totals);
    }
}
