package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class EventRowSerializerTest {

    private final TypeSerializer<Row> serializer = EventRow.type().createSerializer(new ExecutionConfig());

    private Row sent(Row row) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(16);
        serializer.serialize(row, out);
        DataInputDeserializer in = new DataInputDeserializer(out.getCopyOfBuffer());
        Row received = serializer.deserialize(in);
        assertThat(in.available()).isZero();
        return received;
    }

    private static Row full() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("temperature", -0.0);
        metrics.put("humidity", 5e-324);
        metrics.put("温度", 1e60);
        Row row = Rows.event("gerät \"1\"\n☃ 😀", "e" + "0".repeat(300), 1_767_268_800_000L, 7, metrics);
        row.setField(EventRow.ATTRIBUTES, Map.of("site", "berlin"));
        row.setField(EventRow.CORRELATION_ID, "");
        row.setField(EventRow.PARTITION_KEY, "k".repeat(255));
        row.setField(EventRow.SHARD, "k".repeat(254));
        row.setField(EventRow.SEQUENCE_NUMBER, "49590338271490256608559692538361571095921757589136799");
        row.setField(EventRow.ARRIVAL, Long.MIN_VALUE);
        row.setField(EventRow.PAYLOAD, new byte[70_000]);
        row.setField(EventRow.REASON, "r");
        row.setField(EventRow.DETAIL, "d");
        row.setField(EventRow.CORRECTS, "c");
        row.setField(EventRow.SUB_SEQUENCE_NUMBER, 3L);
        row.setField(EventRow.PREVIOUS, "49590338271490256608559692538361571095921757589136799:2");
        return row;
    }

    @Test
    void isWhatTravelsBetweenTasks() {
        assertThat(serializer).isInstanceOf(EventRowSerializer.class);
    }

    @Test
    void keepsEveryField() throws Exception {
        Row row = full();
        for (int field = 0; field < EventRow.ARITY; field++) {
            assertThat(row.getField(field)).as("field %d of the test's row", field).isNotNull();
        }
        assertThat(sent(row)).isEqualTo(row);
    }

    @Test
    void keepsAPartitionKeyThatIsTheDevice() throws Exception {
        Row row = Rows.event("gerät", "e", 0);
        assertThat(row.getField(EventRow.PARTITION_KEY)).isEqualTo("gerät");
        assertThat(sent(row)).isEqualTo(row);
    }

    @Test
    void keepsWhichFieldsAreNull() throws Exception {
        assertThat(sent(new Row(EventRow.ARITY))).isEqualTo(new Row(EventRow.ARITY));
        for (int field = 0; field < EventRow.ARITY; field++) {
            Row row = full();
            row.setField(field, null);
            assertThat(sent(row)).isEqualTo(row);
        }
    }

    /** The first fault that is found in a row depends on it. */
    @Test
    void keepsTheOrderOfMetrics() throws Exception {
        Map<?, ?> metrics = (Map<?, ?>) sent(full()).getField(EventRow.METRICS);
        assertThat(new ArrayList<Object>(metrics.keySet())).isEqualTo(List.of("temperature", "humidity", "温度"));
    }

    /** Also of texts that fall into the same slot, of which there are fewer than of these. */
    @Test
    void makesSharedTextsOnce() throws Exception {
        Object first = sent(full()).getField(EventRow.TYPE);
        assertThat(sent(full()).getField(EventRow.TYPE)).isSameAs(first);
        for (int metric = 0; metric < 5_000; metric++) {
            Row row = Rows.event("device", "e", 0, 0, Map.of("metric-" + metric, 1.0));
            assertThat(sent(row)).isEqualTo(row);
        }
    }

    @Test
    void copiesDeeply() {
        Row row = full();
        Row copy = serializer.copy(row);
        assertThat(copy).isEqualTo(row);
        ((byte[]) row.getField(EventRow.PAYLOAD))[0] = 1;
        ((Map<?, ?>) row.getField(EventRow.METRICS)).clear();
        assertThat(copy).isEqualTo(full());
    }

    @Test
    void writesNothingThatADuplicateCannotRead() throws Exception {
        DataOutputSerializer out = new DataOutputSerializer(16);
        serializer.serialize(full(), out);
        TypeSerializer<Row> other = serializer.duplicate();
        assertThat(other).isEqualTo(serializer).isNotSameAs(serializer);
        assertThat(other.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()))).isEqualTo(full());
    }
}
