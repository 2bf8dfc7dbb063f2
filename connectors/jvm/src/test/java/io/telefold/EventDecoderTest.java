package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.StringUtils;
import org.apache.flink.util.UserCodeClassLoader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class EventDecoderTest {

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
        List<String> decided =
                Reason.OF_RECORDS.stream().map(Reason::toString).collect(Collectors.toList());
        assertThat(golden()).extracting(GoldenCase::reason).containsAll(decided);
    }

    @Test
    void carriesTheRecordWithEveryRow() {
        for (byte[] record : List.of(new byte[] {1, 2, 3}, goldenRecord("v2: plain"))) {
            Row row = decoder.deserialize(record, "key", "49", T, "stream", "shard-1");
            assertThat(row.getField(EventRow.PARTITION_KEY)).isEqualTo("key");
            assertThat(row.getField(EventRow.SHARD)).isEqualTo("shard-1");
            assertThat(row.getField(EventRow.SEQUENCE_NUMBER)).isEqualTo("49");
            assertThat(row.getField(EventRow.ARRIVAL)).isEqualTo(T);
            assertThat((byte[]) row.getField(EventRow.PAYLOAD)).isEqualTo(record);
        }
    }

    @Test
    void aKeyThatKinesisWouldRefuseIsKeptInPart() throws IOException {
        Path file = Path.of(System.getProperty("golden.directory"), "partition_keys.json");
        for (JsonNode one : new ObjectMapper().readTree(file.toFile())) {
            Row row = decoder.deserialize(
                    new byte[] {1}, one.get("key").textValue(), "49", T, "stream", "shard-1");
            assertThat(row.getField(EventRow.PARTITION_KEY)).isEqualTo(one.get("kept").textValue());
        }
    }

    @Test
    void takesNoDataForAnEmptyRecord() {
        Row row = decode(null, T);
        assertThat(row.getField(EventRow.REASON)).isEqualTo("empty_record");
        assertThat((byte[]) row.getField(EventRow.PAYLOAD)).isEmpty();
    }

    @Test
    void namesTheFingerprintInTheOrderOfTheWire() {
        Row row = decode(StringUtils.hexStringToByte("c3010123456789abcdef"), T);
        assertThat((String) row.getField(EventRow.DETAIL)).contains("0123456789abcdef");
    }

    @Test
    void mapsOfTwoRowsAreNotTheSame() {
        Row first = decode(goldenRecord("v1: plain"), T);
        Row second = decode(goldenRecord("v1: plain"), T);
        assertThat(first.getField(EventRow.METRICS)).isNotSameAs(second.getField(EventRow.METRICS));
        assertThat(first.getField(EventRow.ATTRIBUTES)).isNotSameAs(second.getField(EventRow.ATTRIBUTES));
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
        Row row = evolving.deserialize(record, "d", "1", T, "s", "0");

        assertThat(row.getField(EventRow.REASON)).isNull();
        assertThat(row.getField(EventRow.DEVICE_ID)).isEqualTo("d");
        assertThat(row.getField(EventRow.EVENT_TIME)).isEqualTo(29_000_448L * 60_000);
        assertThat(row.getField(EventRow.SEQUENCE)).isEqualTo(3L);
        assertThat(row.getField(EventRow.METRICS)).isEqualTo(Map.of("m", 0.5));
        assertThat(row.getField(EventRow.ATTRIBUTES)).isEqualTo(Map.of());
        assertThat(row.getField(EventRow.CORRELATION_ID)).isNull();
        assertThat(row.getField(EventRow.CORRECTS)).isNull();
    }

    @Test
    void ofARejectedEventOnlyWhatCausedItIsKept() throws Exception {
        Row row = new Row(EventRow.ARITY);
        EventReader reader = new EventReader(readings(), limits());
        assertThatThrownBy(() -> reader.read(goldenRecord("v3 correction: empty id"), T, row))
                .isInstanceOf(RejectedEvent.class)
                .hasMessage("corrects is empty");
        Row cause = new Row(EventRow.ARITY);
        cause.setField(EventRow.CORRELATION_ID, "c-1");
        assertThat(row).isEqualTo(cause);
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

    private Row decode(byte[] record, long arrival) {
        return decoder.deserialize(record, "key", "49", arrival, "stream", "shard-1");
    }

    private static byte[] goldenRecord(String name) {
        try {
            return golden().stream().filter(c -> c.toString().equals(name)).findFirst().orElseThrow().record();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** What {@code schemas.codec.readings_json()} returns; a test there keeps the file so. */
    static String readings() throws IOException {
        return Files.readString(Path.of(System.getProperty("golden.directory"), "readings.json"));
    }

    /** What {@code schemas.limits.limits_json()} returns; a test there keeps the file so. */
    static String limits() throws IOException {
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
        long fingerprint = SchemaNormalization.parsingFingerprint64(
                new Schema.Parser().parse(schema));
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
            String repeated = json.path("repeat").asText("").repeat(json.path("times").asInt(0));
            return StringUtils.hexStringToByte(json.get("hex").textValue() + repeated);
        }

        void check(Row row) {
            assertThat(row.getField(EventRow.REASON)).as(toString()).isEqualTo(reason());
            if (reason() == null) {
                checkEvent(row);
            } else {
                assertThat((String) row.getField(EventRow.DETAIL)).as(toString()).isNotEmpty();
            }
        }

        private void checkEvent(Row row) {
            JsonNode event = json.get("event");
            assertThat(row.getField(EventRow.DETAIL)).isNull();
            assertThat(row.getField(EventRow.EVENT_ID)).isEqualTo(event.get("event_id").textValue());
            assertThat(row.getField(EventRow.DEVICE_ID)).isEqualTo(event.get("device_id").textValue());
            assertThat(row.getField(EventRow.TYPE)).isEqualTo(event.get("type").textValue());
            assertThat(row.getField(EventRow.EVENT_TIME)).isEqualTo(event.get("event_time").longValue());
            assertThat(row.getField(EventRow.SEQUENCE)).isEqualTo(event.get("sequence").longValue());
            assertThat(row.getField(EventRow.METRICS)).isEqualTo(map(event.get("metrics"), JsonNode::doubleValue));
            assertThat(row.getField(EventRow.ATTRIBUTES)).isEqualTo(map(event.get("attributes"), JsonNode::textValue));
            assertThat(row.getField(EventRow.CORRELATION_ID)).isEqualTo(event.get("correlation_id").textValue());
            assertThat(row.getField(EventRow.CORRECTS)).isEqualTo(event.path("corrects").textValue());
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
