package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.util.FlinkRuntimeException;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;

/** The writer on a model of Flink and of Kinesis. An element is its partition key, a dash and whatever. */
class KinesisSinkWriterTest {

    private static final int MIB = 1024 * 1024;

    private final Random random = new Random(1);
    private final ModelStream stream = new ModelStream(random);
    private final ModelTask task = new ModelTask();
    private StatefulSinkWriter<String, SinkState> writer = start(sink -> sink, List.of());

    private StatefulSinkWriter<String, SinkState> start(
            UnaryOperator<KinesisSinkBuilder<String>> with, List<SinkState> restored) {
        task.whileWaiting = stream::answerOne;
        KinesisSinkBuilder<String> builder = KinesisSink.<String>builder("s")
                .partitionKey(KinesisSinkWriterTest::keyOf)
                .data(text -> text.getBytes(StandardCharsets.UTF_8))
                .clients(() -> stream.client(0));
        return with.apply(builder).build().writer(task, restored, random::nextDouble);
    }

    static String keyOf(String text) {
        return text.substring(0, text.indexOf('-'));
    }

    private void write(String... texts) throws Exception {
        for (String text : texts) {
            writer.write(text, null);
        }
    }

    private static String[] keys(int from, int to) {
        return IntStream.range(from, to).mapToObj(i -> "k" + i + "-").toArray(String[]::new);
    }

    /** A text whose record has so many bytes with its key. */
    private static String sized(String key, int bytes) {
        return key + "-" + "x".repeat(bytes - 2 * key.length() - 1);
    }

    @Test
    void recordsWaitForOthersOfTheirRequest() throws Exception {
        write("a-1", "b-1");
        task.passTime(499);
        assertThat(stream.requests).isEmpty();
        write("c-1");
        task.passTime(1);
        assertThat(stream.asked()).containsExactly(List.of("a-1", "b-1", "c-1"));
        write("d-1");
        task.passTime(500);
        assertThat(stream.texts()).containsExactly("a-1", "b-1", "c-1", "d-1");
    }

    @Test
    void aFullRequestDoesNotWait() throws Exception {
        write(keys(0, 1_200));
        task.settle();
        assertThat(stream.requests).extracting(List::size).containsExactly(500, 500);
        task.passTime(500);
        assertThat(stream.texts()).containsExactly(keys(0, 1_200));
    }

    @Test
    void aRequestHasFiveMebibytesAtMost() throws Exception {
        for (int i = 0; i < 11; i++) {
            write(sized("k" + i, i % 3 == 0 ? MIB : MIB * 2 / 3));
        }
        writer.flush(true);
        assertThat(stream.taken).hasSize(11);
        assertThat(stream.requests.size()).isLessThanOrEqualTo(3);
    }

    @Test
    void streamsWithLargeRecordsTakeThem() throws Exception {
        stream.requestBytes = 10 * MIB;
        writer = start(sink -> sink.maxRecordBytes(10 * MIB), List.of());
        write(sized("a", 10 * MIB), sized("b", 10 * MIB), "c-");
        writer.flush(true);
        assertThat(stream.taken).extracting(ModelStream.Put::key).containsExactly("a", "b", "c");
    }

    @Test
    void whatKinesisNeverTakesFailsWithASentence() throws Exception {
        write(sized("a", MIB));
        assertThatThrownBy(() -> write(sized("a", MIB + 1)))
                .isInstanceOf(FlinkRuntimeException.class)
                .hasMessageContaining("1048577 bytes with its partition key a, and at most 1048576 go");
        assertThatThrownBy(() -> write("-x")).hasMessageContaining("has 0 characters");
        assertThatThrownBy(() -> write("x".repeat(257) + "-")).hasMessageContaining("has 257 characters");
        write("\uD83D\uDE00".repeat(256) + "-");
        writer = start(sink -> sink.data(text -> null), List.of());
        assertThatThrownBy(() -> write("a-1")).hasMessageContaining("makes no data");
    }

    @Test
    void onlyWhatWasRefusedIsSentAgain() throws Exception {
        stream.rule = (put, index) -> index % 3 == 1 ? ModelStream.THROTTLED : null;
        write("a-1", "b-1", "c-1", "d-1", "e-1");
        task.passTime(500);
        stream.rule = (put, index) -> null;
        task.passTime(500);
        assertThat(stream.asked()).containsExactly(List.of("a-1", "b-1", "c-1", "d-1", "e-1"), List.of("b-1", "e-1"));
        assertThat(stream.texts()).containsExactlyInAnyOrder("a-1", "b-1", "c-1", "d-1", "e-1");
        assertThat(task.count("KinesisProducer.recordsRetried")).isEqualTo(2);
        assertThat(task.count("KinesisProducer.throttled")).isEqualTo(1);
        assertThat(task.count("KinesisProducer.failedRequests")).isZero();
        assertThat(task.count("numRecordsSendErrors")).isEqualTo(2);
        assertThat(task.count("numRecordsSend")).isEqualTo(5);
        assertThat(task.count("numBytesSend")).isEqualTo(5 * 4);
    }

    @Test
    void aRefusedRecordGoesBeforeThoseOfItsKeyAndIsPassedByOthers() throws Exception {
        stream.rule = (put, index) -> put.text().equals("a-1") ? ModelStream.THROTTLED : null;
        write("a-1", "b-1", "a-2", "b-2", "a-3");
        task.passTime(700);
        assertThat(stream.texts()).containsExactly("b-1", "b-2");
        stream.rule = (put, index) -> null;
        task.passTime(500);
        assertThat(stream.texts()).containsExactly("b-1", "b-2", "a-1", "a-2", "a-3");
    }

    @Test
    void whereOrderDoesNotCountARequestHasManyRecordsOfAKey() throws Exception {
        stream.withoutOrder();
        writer = start(KinesisSinkBuilder::withoutOrder, List.of());
        stream.rule = (put, index) -> put.text().equals("a-1") ? ModelStream.THROTTLED : null;
        write("a-1", "a-2", "b-1");
        task.passTime(500);
        stream.rule = (put, index) -> null;
        task.passTime(500);
        assertThat(stream.asked()).containsExactly(List.of("a-1", "a-2", "b-1"), List.of("a-1"));
        assertThat(stream.texts()).containsExactly("a-2", "b-1", "a-1");
    }

    @Test
    void aKeyGoesOnAsSoonAsItsRecordIsTaken() throws Exception {
        stream.isDelayed = true;
        write("a-1", "a-2", "a-3");
        task.passTime(500);
        for (int i = 1; i <= 3; i++) {
            assertThat(stream.requests).hasSize(i);
            stream.answerOne();
            task.settle();
        }
        assertThat(stream.texts()).containsExactly("a-1", "a-2", "a-3");
    }

    @Test
    void noMoreRequestsAreUnderWayThanAllowed() throws Exception {
        stream.isDelayed = true;
        writer = start(sink -> sink.maxInFlightRequests(2), List.of());
        write(keys(0, 1_600));
        task.passTime(10_000);
        assertThat(stream.underWay()).isEqualTo(2);
        stream.answerOne();
        task.settle();
        assertThat(stream.underWay()).isEqualTo(2);
        writer.flush(true);
        assertThat(new HashSet<>(stream.texts())).hasSize(1_600);
    }

    /** What the same failure does for how long: for ever, or until it is believed. */
    @Test
    void whatMayPassIsTriedForEverAndWhatIsRefusedFiveTimesFailsTheJob() {
        Map<String, ModelStream.Rule> passing = Map.of(
                "a record throttled",
                (put, index) -> ModelStream.THROTTLED,
                "a record failed",
                (put, index) -> ModelStream.INTERNAL,
                "a record failed for who knows what",
                (put, index) -> "Whatever",
                "throttled",
                whole(ModelStream.refusal(400, ModelStream.THROTTLED, "Rate exceeded")),
                "5xx",
                whole(ModelStream.refusal(503, "ServiceUnavailable", "no")),
                "network",
                whole(new IllegalStateException("connection reset")));
        passing.forEach(
                (name, rule) -> assertThat(timesUntilFailed(rule)).as(name).isEqualTo(-1));
        Map<String, ModelStream.Rule> refused = Map.of(
                "a record denied", (put, index) -> ModelStream.DENIED,
                "denied", whole(ModelStream.refusal(400, ModelStream.DENIED, "not authorized")),
                "invalid", whole(ModelStream.refusal(400, "ValidationException", "too large")),
                "not found",
                        whole(ResourceNotFoundException.builder()
                                .statusCode(400)
                                .build()));
        refused.forEach(
                (name, rule) -> assertThat(timesUntilFailed(rule)).as(name).isEqualTo(5));
    }

    private static ModelStream.Rule whole(RuntimeException answer) {
        return (put, index) -> {
            throw answer;
        };
    }

    private static int timesUntilFailed(ModelStream.Rule rule) {
        KinesisSinkWriterTest test = new KinesisSinkWriterTest();
        test.stream.rule = rule;
        try {
            test.write("a-1", "b-1");
            test.task.passTime(3_600_000);
        } catch (FlinkRuntimeException e) {
            return test.stream.requests.size();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        test.stream.rule = (put, index) -> null;
        test.task.passTime(10_000);
        assertThat(test.stream.texts()).containsExactlyInAnyOrder("a-1", "b-1");
        return -1;
    }

    @Test
    void theSentenceSaysWhatToLookAt() throws Exception {
        stream.rule = whole(ModelStream.refusal(400, ModelStream.DENIED, "not authorized"));
        write("a-1");
        assertThatThrownBy(() -> task.passTime(60_000))
                .isInstanceOf(FlinkRuntimeException.class)
                .hasMessageContaining("refuses records for stream s: see that the job may write there")
                .hasMessageContaining("kinesis:PutRecords")
                .hasMessageContaining("not authorized");
        writer = start(sink -> sink, List.of());
        stream.rule = whole(ResourceNotFoundException.builder()
                .message("Stream s under account 1 not found.")
                .statusCode(400)
                .build());
        write("a-1");
        assertThatThrownBy(() -> writer.flush(true))
                .hasMessageContaining("does not find stream s: see that it exists, in the region of the sink")
                .hasMessageContaining("under account 1");
    }

    @Test
    void anotherAnswerBetweenRefusalsMakesThemAPassingFault() throws Exception {
        int[] times = {0};
        stream.rule = (put, index) -> times[0]++ % 5 == 4 ? ModelStream.THROTTLED : ModelStream.DENIED;
        write("a-1");
        task.passTime(600_000);
        assertThat(times[0]).isGreaterThan(20);
        stream.rule = (put, index) -> null;
        task.passTime(10_000);
        assertThat(stream.texts()).containsExactly("a-1");
    }

    /** Else its key would stand still for ever, and nobody would know. */
    @Test
    void aRecordThatAloneIsRefusedFailsTheJobWhileOthersGo() throws Exception {
        stream.rule = (put, index) -> put.key().equals("bad") ? ModelStream.DENIED : null;
        write("bad-1");
        assertThatThrownBy(() -> {
                    for (int i = 0; i < 1_000; i++) {
                        write("k" + i + "-");
                        task.passTime(250);
                    }
                })
                .hasMessageContaining("refuses records");
        assertThat(stream.taken).isNotEmpty();
    }

    @Test
    void triesComeSlowerWhereNothingIsTakenAndSoonWhereSomethingIs() throws Exception {
        stream.rule = (put, index) -> ModelStream.THROTTLED;
        write("a-1", "b-1");
        task.passTime(60_000);
        int tries = stream.requests.size();
        task.passTime(100_000);
        assertThat(stream.requests.size() - tries).isBetween(10, 20);
        stream.rule = (put, index) -> put.key().equals("a") ? ModelStream.THROTTLED : null;
        while (stream.taken.isEmpty()) {
            task.passTime(1);
        }
        tries = stream.requests.size();
        task.passTime(500);
        assertThat(stream.requests.size() - tries).isEqualTo(1);
    }

    @Test
    void aFullBufferWaitsForKinesis() throws Exception {
        stream.isDelayed = true;
        for (UnaryOperator<KinesisSinkBuilder<String>> with : List.<UnaryOperator<KinesisSinkBuilder<String>>>of(
                sink -> sink.maxBufferedRecords(3), sink -> sink.maxBufferedBytes(12))) {
            writer = start(with, List.of());
            stream.taken.clear();
            write("a-1", "a-2", "a-3");
            assertThat(stream.taken).isEmpty();
            write("a-4");
            assertThat(stream.texts()).containsExactly("a-1");
            assertThat(task.gauges.get("KinesisProducer.recordsBuffered").getValue())
                    .isEqualTo(3);
            assertThat(task.gauges.get("KinesisProducer.bytesBuffered").getValue())
                    .isEqualTo(12L);
            writer.flush(true);
            assertThat(stream.texts()).containsExactly("a-1", "a-2", "a-3", "a-4");
        }
    }

    @Test
    void aCheckpointPassesWhileNothingIsTaken() throws Exception {
        stream.rule = (put, index) -> ModelStream.THROTTLED;
        write("a-1", "b-1", "a-2");
        task.passTime(100_000);
        long before = task.nowMs;
        List<SinkState> state = checkpoint();
        assertThat(task.nowMs).isEqualTo(before);
        writer.close();
        assertThat(stream.closed).isEqualTo(1);
        stream.rule = (put, index) -> null;
        writer = start(sink -> sink, state);
        write("b-2");
        task.settle();
        assertThat(stream.texts()).containsExactlyInAnyOrder("a-1", "b-1", "a-2", "b-2");
        assertThat(stream.texts()).containsSubsequence("a-1", "a-2").containsSubsequence("b-1", "b-2");
    }

    private List<SinkState> checkpoint() throws Exception {
        writer.flush(false);
        List<SinkState> states = new ArrayList<>();
        SinkStateSerializer serializer = new SinkStateSerializer();
        for (SinkState state : writer.snapshotState(1)) {
            states.add(serializer.deserialize(serializer.getVersion(), serializer.serialize(state)));
        }
        return states;
    }

    @Test
    void aCheckpointWaitsForWhatIsUnderWayAndStartsNothing() throws Exception {
        stream.isDelayed = true;
        writer = start(sink -> sink.maxInFlightRequests(1), List.of());
        write(keys(0, 1_700));
        assertThat(stream.underWay()).isEqualTo(1);
        List<SinkState> state = checkpoint();
        assertThat(stream.taken).hasSize(500);
        assertThat(state.get(0).entries()).hasSize(1_200);
        task.passTime(500);
        assertThat(stream.underWay()).isEqualTo(1);
    }

    @Test
    void whatWasHeldByACheckpointGoesBehindIt() throws Exception {
        stream.isDelayed = true;
        writer = start(sink -> sink.maxInFlightRequests(1), List.of());
        write(keys(0, 400));
        task.passTime(500);
        write(keys(400, 700));
        task.passTime(500);
        checkpoint();
        task.settle();
        assertThat(stream.requests).hasSize(2);
    }

    @Test
    void theEndOfInputWaitsForAll() throws Exception {
        int[] tries = {0};
        stream.rule = (put, index) -> ++tries[0] < 500 ? ModelStream.THROTTLED : null;
        write(keys(0, 10));
        writer.flush(true);
        assertThat(stream.taken).hasSize(10);
        assertThat(writer.snapshotState(1)).isEmpty();
    }

    @Test
    void anAnswerThatDoesNotFitIsNone() throws Exception {
        Set<String> seen = new HashSet<>();
        stream.rule = (put, index) -> {
            if (seen.add(put.text())) {
                stream.isAnswerLost = true;
            }
            return null;
        };
        write("a-1", "a-2");
        writer.flush(true);
        assertThat(stream.texts()).containsExactly("a-1", "a-1", "a-2", "a-2");
    }
}
