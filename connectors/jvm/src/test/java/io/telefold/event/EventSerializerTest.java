package io.telefold.event;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.util.StringUtils;
import org.junit.jupiter.api.Test;

class EventSerializerTest {

    private static final String BYTES_OF_AN_EVENT = "000f9fff0000019b796dd600000000000000000700000199c82cc00000000000"
            + "00000003016501640163023439016f0434383a320974656c656d6574727914736861726449642d30303030303030303030303001"
            + "01743ff80000000000000d010473697465066265726c696e0165013fe0000000000000";
    private static final String BYTES_OF_A_REJECTED_ONE = "00007f00000000000000000505343936363411612022"
            + "71756f746564222064657461696c14736861726449642d3030303030303030303030330a6261645f686561646572"
            + "086465766963652d31020102";

    private final TypeSerializer<Event> serializer = Event.type().createSerializer(new SerializerConfigImpl());

    private byte[] bytes(Event event) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(16);
        serializer.serialize(event, out);
        return out.getCopyOfBuffer();
    }

    private Event sent(Event event) throws IOException {
        DataInputDeserializer in = new DataInputDeserializer(bytes(event));
        Event received = serializer.deserialize(in);
        assertThat(in.available()).isZero();
        return received;
    }

    private static void assertThatAreEqual(Event one, Event other) {
        assertThat(one).usingRecursiveComparison().isEqualTo(other);
    }

    private static Event full() {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("temperature", -0.0);
        metrics.put("humidity", 5e-324);
        metrics.put("温度", 1e60);
        Event event = Events.event("gerät \"1\"\n☃ 😀", "e" + "0".repeat(300), 1_767_268_800_000L, 7, metrics);
        event.attributes = Map.of("site", "berlin");
        event.correlationId = "";
        event.partitionKey = "k".repeat(255);
        event.shard = "k".repeat(254);
        event.sequenceNumber = "49590338271490256608559692538361571095921757589136799";
        event.arrival = Long.MIN_VALUE;
        event.payload = new byte[70_000];
        event.reason = "r";
        event.detail = "d";
        event.corrects = "c";
        event.subSequenceNumber = 3L;
        event.previous = "49590338271490256608559692538361571095921757589136799:2";
        event.increases = new double[] {0, -0.5, 1e60};
        return event;
    }

    @Test
    void isWhatTravelsBetweenTasks() {
        assertThat(serializer).isInstanceOf(EventSerializer.class);
    }

    /** A checkpoint may hold events on their way. */
    @Test
    void writesTheBytesThatEarlierBuildsRead() throws Exception {
        Event event = Events.event("d", "e", 1_767_268_800_000L, 7, Map.of("t", 1.5));
        event.attributes = Map.of("site", "berlin");
        event.subSequenceNumber = 3L;
        event.previous = "48:2";
        event.correlationId = "c";
        event.corrects = "o";
        event.increases = new double[] {0.5};
        assertThat(StringUtils.byteToHexString(bytes(event))).isEqualTo(BYTES_OF_AN_EVENT);
        assertThat(StringUtils.byteToHexString(bytes(Events.rejected(5, new byte[] {1, 2}))))
                .isEqualTo(BYTES_OF_A_REJECTED_ONE);
    }

    @Test
    void keepsEveryField() throws Exception {
        Event event = full();
        Event empty = new Event();
        for (Field field : Event.class.getFields()) {
            assertThat(field.get(event))
                    .as("the test's %s", field.getName())
                    .isNotNull()
                    .isNotEqualTo(field.get(empty));
        }
        assertThatAreEqual(sent(event), event);
    }

    @Test
    void keepsAPartitionKeyThatIsTheDevice() throws Exception {
        Event event = Events.event("gerät", "e", 0);
        assertThat(event.partitionKey).isEqualTo("gerät");
        assertThatAreEqual(sent(event), event);
    }

    @Test
    void keepsWhichFieldsAreNull() throws Exception {
        assertThatAreEqual(sent(new Event()), new Event());
        for (Field field : Event.class.getFields()) {
            if (!field.getType().isPrimitive()) {
                Event event = full();
                field.set(event, null);
                if (field.getName().equals("eventId")) {
                    event.eventTime = 0;
                    event.sequence = 0;
                }
                assertThatAreEqual(sent(event), event);
            }
        }
    }

    /** The first fault that is found in an event depends on it. */
    @Test
    void keepsTheOrderOfMetrics() throws Exception {
        assertThat(new ArrayList<>(sent(full()).metrics.keySet())).isEqualTo(List.of("temperature", "humidity", "温度"));
    }

    /** Also of texts that fall into the same slot, of which there are fewer than of these. */
    @Test
    void makesSharedTextsOnce() throws Exception {
        String first = sent(full()).type;
        assertThat(sent(full()).type).isSameAs(first);
        for (int metric = 0; metric < 5_000; metric++) {
            Event event = Events.event("device", "e", 0, 0, Map.of("metric-" + metric, 1.0));
            assertThat(sent(event).metrics).isEqualTo(event.metrics);
        }
    }

    @Test
    void copiesDeeply() {
        Event event = full();
        Event copy = serializer.copy(event);
        assertThatAreEqual(copy, event);
        List<Consumer<Event>> changes =
                List.of(each -> each.payload[0] = 1, each -> each.metrics.clear(), each -> each.increases[0] = 1);
        changes.forEach(change -> change.accept(event));
        assertThatAreEqual(copy, full());
    }

    @Test
    void writesNothingThatADuplicateCannotRead() throws Exception {
        TypeSerializer<Event> other = serializer.duplicate();
        assertThat(other).isEqualTo(serializer).isNotSameAs(serializer);
        assertThatAreEqual(other.deserialize(new DataInputDeserializer(bytes(full()))), full());
    }
}
