package io.telefold.deadletter;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import io.telefold.event.Event;
import io.telefold.event.Events;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DeadLettersTest {

    private static final int MIB = 1 << 20;

    @Test
    void aLetterHoldsWhatIsNeededToSendTheRecordAgain() throws Exception {
        List<Row> letters = letters(new byte[] {0, -1, 62});
        assertThat(letters).hasSize(1);
        assertThat(letters.get(0).getField(0)).isEqualTo("device-1");
        assertThat(json(letters.get(0)))
                .isEqualTo(new ObjectMapper()
                        .readTree("{\"reason\": \"bad_header\", \"detail\": \"a \\\"quoted\\\" detail\","
                                + " \"payload\": \"AP8+\", \"partition_key\": \"device-1\","
                                + " \"shard\": \"shardId-000000000003\", \"sequence_number\": \"49664\","
                                + " \"arrival\": 1760000000000}"));
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "700000, 1", "700001, 2", "1048576, 2", "1400000, 2", "1400001, 3", "10485760, 15"})
    void aLargePayloadIsSpreadOverLettersThatFitAndJoin(int size, int parts) throws Exception {
        byte[] payload = new byte[size];
        new Random(size).nextBytes(payload);
        List<Row> letters = letters(payload);
        assertThat(letters).hasSize(parts);
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (int i = 0; i < parts; i++) {
            JsonNode letter = json(letters.get(i));
            assertThat(letter.path("part").asInt(1)).isEqualTo(i + 1);
            assertThat(letter.path("parts").asInt(1)).isEqualTo(parts);
            assertThat(letter.get("sequence_number").textValue()).isEqualTo("49664");
            joined.write(letter.get("payload").binaryValue());
        }
        assertThat(joined.toByteArray()).isEqualTo(payload);
    }

    @Test
    void aLetterOfAnAggregatedRecordSaysItsPlace() throws Exception {
        Event event = Events.rejected(T, new byte[] {1});
        event.subSequenceNumber = 7L;
        List<Row> letters = new ArrayList<>();
        new DeadLetters().flatMap(event, new ListCollector<>(letters));
        assertThat(json(letters.get(0)).get("sub_sequence_number").longValue()).isEqualTo(7);
        assertThat(new DeadLetterLog().line(event, 0)).contains(" id=shardId-000000000003:49664:7 ");
    }

    @Test
    void aLetterFollowsTheCauseOfItsEvent() throws Exception {
        Event event = Events.rejected(T, new byte[0]);
        event.correlationId = "order-7";
        List<Row> letters = new ArrayList<>();
        new DeadLetters().flatMap(event, new ListCollector<>(letters));
        assertThat(json(letters.get(0)).get("correlation_id").textValue()).isEqualTo("order-7");
        assertThat(new DeadLetterLog().line(event, 0)).endsWith(" device=\"device-1\" correlation_id=\"order-7\"");
    }

    @Test
    void aCorrelationIdThatMightNotFitIsLeftOut() throws Exception {
        Event event = Events.rejected(T, new byte[0]);
        event.correlationId = "c".repeat(DeadLetters.MAX_CORRELATION_ID_CHARACTERS + 1);
        List<Row> letters = new ArrayList<>();
        new DeadLetters().flatMap(event, new ListCollector<>(letters));
        assertThat(json(letters.get(0)).has("correlation_id")).isFalse();
    }

    @Test
    void ofAReasonOneRecordAMinuteIsToldInTheLogAndTheOthersAreCounted() {
        DeadLetterLog log = new DeadLetterLog();
        Event event = Events.rejected(T, new byte[0]);
        Event late = Events.rejected(T, new byte[0]);
        late.reason = "too_late";
        String line = "dead letter: a \"quoted\" detail reason=bad_header id=shardId-000000000003:49664"
                + " device=\"device-1\"";
        assertThat(log.line(event, 5)).isEqualTo(line);
        assertThat(log.line(event, 6)).isNull();
        assertThat(log.line(late, 7)).contains("too_late");
        assertThat(log.line(event, 60_004)).isNull();
        assertThat(log.line(event, 60_005)).isEqualTo(line + " unsaid=2");
        assertThat(log.line(event, 120_005)).isEqualTo(line);
    }

    @Test
    void evenTheLargestLetterFitsARecord() throws Exception {
        Event event = Events.rejected(T, new byte[DeadLetters.MAX_PAYLOAD_BYTES]);
        event.partitionKey = "\u0001".repeat(256);
        event.detail = "\u0001".repeat(256);
        event.correlationId = "\u0001".repeat(DeadLetters.MAX_CORRELATION_ID_CHARACTERS);
        List<Row> letters = new ArrayList<>();
        new DeadLetters().flatMap(event, new ListCollector<>(letters));
        assertThat(((String) letters.get(0).getField(1)).getBytes(StandardCharsets.UTF_8).length)
                .isLessThan(MIB - 1_024);
    }

    @Test
    void theSinkTakesANameOrAnArnAndCanBeShipped() {
        for (String stream : List.of("letters", "arn:aws:kinesis:eu-west-1:123456789012:stream/letters")) {
            assertThatCode(() -> InstantiationUtil.serializeObject(
                            DeadLetters.sink(stream).region("eu-west-1").build()))
                    .doesNotThrowAnyException();
        }
    }

    private static List<Row> letters(byte[] payload) throws Exception {
        List<Row> letters = new ArrayList<>();
        new DeadLetters().flatMap(Events.rejected(T, payload), new ListCollector<>(letters));
        return letters;
    }

    private static JsonNode json(Row letter) throws Exception {
        return new ObjectMapper().readTree((String) letter.getField(1));
    }
}
