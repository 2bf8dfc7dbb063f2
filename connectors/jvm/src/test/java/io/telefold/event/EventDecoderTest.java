package io.telefold.event;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.telefold.CapturedMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.avro.Schema;
import org.apache.avro.SchemaNormalization;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.util.InstantiationUtil;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.StringUtils;
import org.apache.flink.util.UserCodeClassLoader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

public class EventDecoderTest {

    private final CapturedMetrics metrics = new CapturedMetrics();
    private EventDecoder decoder;

    @BeforeEach
    void open() throws Exception {
        decoder = InstantiationUtil.clone(new EventDecoder(readings(), limits()));
        decoder.open(context(metrics));
    }

    static List<GoldenCase> golden() throws IOException {
        List<GoldenCase> cases = new ArrayList<>();
        Path file = Path.of(System.getProperty("golden.directory"), "device_event.json");
        new ObjectMapper().readTree(file.toFile()).forEach(node -> cases.add(new GoldenCase(node)));
        return cases;
    }

    @ParameterizedTest
    @MethodSource("golden")
    void agreesWithThePythonCodec(GoldenCase golden) {
        golden.check(decode(golden.record(), golden.arrival()));
    }

    @Test
    void isNotDisturbedByWhatItDecodedBefore() throws IOException {
        List<GoldenCase> cases = new ArrayList<>(golden());
        for (int seed = 0; seed < 3; seed++) {
            Collections.shuffle(cases, new Random(seed));
            cases.forEach(golden -> golden.check(decode(golden.record(), golden.arrival())));
        }
    }

    @Test
    void theGoldenFileCoversEveryReasonOfADecoder() throws IOException {
        List<String> decided = Reason.OF_RECORDS.stream().map(Reason::toString).collect(Collectors.toList());
        assertThat(golden()).extracting(GoldenCase::reason).containsAll(decided);
    }

    @Test
    void carriesTheRecordWithEveryRow() {
        for (byte[] record : List.of(new byte[] {1, 2, 3}, goldenRecord("v2: plain"))) {
            Event event = decoder.decode(record, "key", "49", T, "shard-1");
            assertThat(event.partitionKey).isEqualTo("key");
            assertThat(event.shard).isEqualTo("shard-1");
            assertThat(event.sequenceNumber).isEqualTo("49");
            assertThat(event.arrival).isEqualTo(T);
            assertThat(event.payload).isEqualTo(record);
        }
    }

    @Test
    void aKeyThatKinesisWouldRefuseIsKeptInPart() throws IOException {
        Path file = Path.of(System.getProperty("golden.directory"), "partition_keys.json");
        for (JsonNode one : new ObjectMapper().readTree(file.toFile())) {
            Event event = decoder.decode(new byte[] {1}, one.get("key").textValue(), "49", T, "shard-1");
            assertThat(event.partitionKey).isEqualTo(one.get("kept").textValue());
        }
    }

    @Test
    void takesNoDataForAnEmptyRecord() {
        Event made = decode(null, T);
        assertThat(made.reason).isEqualTo("empty_record");
        assertThat(made.payload).isEmpty();
    }

    @Test
    void namesTheFingerprintInTheOrderOfTheWire() {
        Event event = decode(StringUtils.hexStringToByte("c3010123456789abcdef"), T);
        assertThat(event.detail).contains("0123456789abcdef");
    }

    @Test
    void mapsOfTwoRowsAreNotTheSame() {
        Event first = decode(goldenRecord("v1: plain"), T);
        Event second = decode(goldenRecord("v1: plain"), T);
        assertThat(first.metrics).isNotSameAs(second.metrics);
        assertThat(first.attributes).isNotSameAs(second.attributes);
    }

    @Test
    void resolvesAliasesPromotionsAndFieldsDroppedThenUpcasts() throws IOException {
        String written = schema(
                string("event_id"),
                string("device"),
                string("type"),
                field("minutes", "\"int\""),
                field("sequence", "\"int\""),
                field("metrics", "{\"type\": \"map\", \"values\": \"float\"}"),
                field("dropped", "{\"type\": \"map\", \"values\": {\"type\": \"array\", \"items\": \"string\"}}"));
        String ids = "0265" + "0264" + "0274";
        String timeAndSequence = "808cd41b" + "06";
        String metrics = "02" + "026d" + "0000003f" + "00";
        String dropped = "02" + "026b" + "04" + "0261" + "0262" + "00" + "00";
        byte[] record = StringUtils.hexStringToByte(header(written) + ids + timeAndSequence + metrics + dropped);

        String steps = step("rescaled", 60_000) + ", " + step("rescaled", 1_000);
        EventDecoder evolving = new EventDecoder(
                "[" + reading(written, current("minutes"), upcast("minutes", steps)) + ", " + reading(current()) + "]",
                limits());
        evolving.open(context(new CapturedMetrics()));
        Event event = evolving.decode(record, "d", "1", T, "0");

        assertThat(event.reason).isNull();
        assertThat(event.deviceId).isEqualTo("d");
        assertThat(event.eventTime).isEqualTo(29_000_448L * 60_000);
        assertThat(event.sequence).isEqualTo(3L);
        assertThat(event.metrics).isEqualTo(Map.of("m", 0.5));
        assertThat(event.attributes).isEqualTo(Map.of());
        assertThat(event.correlationId).isNull();
        assertThat(event.corrects).isNull();
    }

    @Test
    void ofARejectedEventOnlyWhatCausedItIsKept() throws Exception {
        Event event = new Event();
        event.arrival = T;
        EventReader reader = new EventReader(readings(), limits());
        assertThatThrownBy(() -> reader.read(goldenRecord("v3 correction: empty id"), event))
                .isInstanceOf(RejectedEvent.class)
                .hasMessage("corrects is empty");
        Event cause = new Event();
        cause.arrival = T;
        cause.correlationId = "c-1";
        assertThat(event).usingRecursiveComparison().isEqualTo(cause);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{", "{}", "[]"})
    void needsReadings(String readings) throws IOException {
        assertThatThrownBy(() -> new EventDecoder(readings, limits()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("The readings of the event's versions are no JSON");
    }

    @Test
    void refusesAnUpcastItDoesNotKnow() throws IOException {
        for (String step : List.of(step("reversed", 1_000), step("rescaled", 0))) {
            String readings = "[" + reading(current(), current(), upcast("occurred_at", step)) + "]";
            assertThatThrownBy(() -> new EventDecoder(readings, limits())).isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void refusesACurrentVersionWithoutAFieldOfTheRow() throws IOException {
        assertThatThrownBy(() -> new EventDecoder("[" + reading(current("event_time")) + "]", limits()))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("The current version of the event has no field occurred_at");
    }

    private Event decode(byte[] record, long arrival) {
        return decoder.decode(record, "key", "49", arrival, "shard-1");
    }

    private static byte[] goldenRecord(String name) {
        try {
            return golden().stream()
                    .filter(c -> c.toString().equals(name))
                    .findFirst()
                    .orElseThrow()
                    .record();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** What {@code schemas.codec.readings_json()} returns; a test there keeps the file so. */
    public static String readings() throws IOException {
        return Files.readString(Path.of(System.getProperty("golden.directory"), "readings.json"));
    }

    /** What {@code schemas.limits.limits_json()} returns; a test there keeps the file so. */
    public static String limits() throws IOException {
        return Files.readString(Path.of(System.getProperty("golden.directory"), "limits.json"));
    }

    private static String current() {
        return current("occurred_at");
    }

    /** The current version, its time under the name of an older one. */
    private static String current(String time) {
        return schema(
                string("event_id"),
                "{\"name\": \"device_id\", \"aliases\": [\"device\"], \"type\": \"string\"}",
                string("type"),
                field(time, "\"long\""),
                field("sequence", "\"long\""),
                field("metrics", "{\"type\": \"map\", \"values\": \"double\"}"),
                "{\"name\": \"attributes\", \"type\": {\"type\": \"map\", \"values\": \"string\"}, \"default\": {}}",
                "{\"name\": \"correlation_id\", \"type\": [\"null\", \"string\"], \"default\": null}",
                "{\"name\": \"corrects\", \"type\": [\"null\", \"string\"], \"default\": null}");
    }

    private static String reading(String schema) {
        return reading(schema, schema, "");
    }

    private static String reading(String written, String resolved, String upcast) {
        return String.format(
                "{\"version\": 1, \"written\": %s, \"resolved\": %s, \"upcast\": [%s]}", written, resolved, upcast);
    }

    private static String upcast(String readAs, String steps) {
        return String.format("{\"field\": \"occurred_at\", \"read_as\": \"%s\", \"steps\": [%s]}", readAs, steps);
    }

    private static String step(String kind, long factor) {
        return String.format("{\"kind\": \"%s\", \"factor\": %d}", kind, factor);
    }

    private static String schema(String... fields) {
        return "{\"type\": \"record\", \"name\": \"DeviceEvent\", \"fields\": [" + String.join(", ", fields) + "]}";
    }

    private static String string(String name) {
        return field(name, "\"string\"");
    }

    private static String field(String name, String type) {
        return "{\"name\": \"" + name + "\", \"type\": " + type + "}";
    }

    private static String header(String schema) {
        long fingerprint = SchemaNormalization.parsingFingerprint64(new Schema.Parser().parse(schema));
        return "c301" + String.format("%016x", Long.reverseBytes(fingerprint));
    }

    private static DeserializationSchema.InitializationContext context(MetricGroup group) {
        return new DeserializationSchema.InitializationContext() {
            @Override
            public MetricGroup getMetricGroup() {
                return group;
            }

            @Override
            public UserCodeClassLoader getUserCodeClassLoader() {
                return SimpleUserCodeClassLoader.create(EventDecoderTest.class.getClassLoader());
            }
        };
    }

    /** One case of the golden file. */
    static final class GoldenCase {

        /** What {@link #checkEvent} looks at. */
        private static final List<String> FIELDS = List.of(
                "event_id",
                "device_id",
                "type",
                "event_time",
                "sequence",
                "metrics",
                "attributes",
                "correlation_id",
                "corrects");

        private final JsonNode json;

        GoldenCase(JsonNode json) {
            this.json = json;
        }

        long arrival() {
            return json.get("arrival").longValue();
        }

        String reason() {
            return json.path("reason").textValue();
        }

        byte[] record() {
            String repeated =
                    json.path("repeat").asText("").repeat(json.path("times").asInt(0));
            return StringUtils.hexStringToByte(json.get("hex").textValue() + repeated);
        }

        void check(Event event) {
            assertThat(event.reason).as(toString()).isEqualTo(reason());
            if (reason() == null) {
                checkEvent(event);
            } else {
                assertThat(event.detail).as(toString()).isNotEmpty();
            }
        }

        private void checkEvent(Event made) {
            JsonNode event = json.get("event");
            assertThat(event.fieldNames()).toIterable().isSubsetOf(FIELDS);
            assertThat(made.detail).isNull();
            assertThat(made.eventId).isEqualTo(event.get("event_id").textValue());
            assertThat(made.deviceId).isEqualTo(event.get("device_id").textValue());
            assertThat(made.type).isEqualTo(event.get("type").textValue());
            assertThat(made.eventTime).isEqualTo(event.get("event_time").longValue());
            assertThat(made.sequence).isEqualTo(event.get("sequence").longValue());
            assertThat(made.metrics).isEqualTo(map(event.get("metrics"), JsonNode::doubleValue));
            assertThat(made.attributes).isEqualTo(map(event.get("attributes"), JsonNode::textValue));
            assertThat(made.correlationId).isEqualTo(event.get("correlation_id").textValue());
            assertThat(made.corrects).isEqualTo(event.path("corrects").textValue());
        }

        private static <V> Map<String, V> map(JsonNode node, Function<JsonNode, V> value) {
            Map<String, V> entries = new HashMap<>();
            node.fields().forEachRemaining(entry -> entries.put(entry.getKey(), value.apply(entry.getValue())));
            return entries;
        }

        @Override
        public String toString() {
            return json.get("name").textValue();
        }
    }
}
