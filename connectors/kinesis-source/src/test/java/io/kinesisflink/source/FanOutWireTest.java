package io.kinesisflink.source;

import static io.kinesisflink.source.WireKinesis.event;
import static io.kinesisflink.source.WireKinesis.record;
import static org.assertj.core.api.Assertions.assertThat;

import io.kinesisflink.client.Clients;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Enhanced fan-out with the SDK's own client, over HTTP/2. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class FanOutWireTest {

    private static final String A = "shardId-000000000000";
    private static final String B = "shardId-000000000001";
    private static final String CONSUMER = "arn:aws:kinesis:eu-west-1:1:stream/s/consumer/c:1";
    private static final List<String> PROPERTIES = List.of("aws.accessKeyId", "aws.secretAccessKey", "aws.cborEnabled");

    private final ModelOutput output = new ModelOutput();
    private WireKinesis kinesis;
    private ShardReader<KinesisRecord> reader;

    @BeforeEach
    void setCredentials() {
        System.setProperty("aws.accessKeyId", "a");
        System.setProperty("aws.secretAccessKey", "s");
    }

    @AfterEach
    void close() {
        if (reader != null) {
            reader.close();
        }
        kinesis.close();
        PROPERTIES.forEach(System::clearProperty);
    }

    private void start(Function<String, List<WireKinesis.Event>> answers, String... shards) throws Exception {
        kinesis = new WireKinesis(answers);
        reader = new ShardReader<>(
                new ModelReaderContext(0, 1, event -> {}),
                KinesisSource.builder("s", new AsItIs()).fanOut(CONSUMER).settings(),
                new AsItIs(),
                new Clients("eu-west-1", kinesis.url(), null, true, true).create(),
                new TaskLoop());
        reader.handleSourceEvents(new FanOutConsumer(CONSUMER));
        for (String shard : shards) {
            reader.addSplits(List.of(
                    new ShardSplit(shard, ShardPosition.oldest(), "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN)));
        }
    }

    private void await(int records) throws Exception {
        while (output.records.size() < records) {
            reader.isAvailable().get();
            reader.pollNext(output);
        }
    }

    private List<String> read() {
        return output.records.stream().map(ModelTest::id).toList();
    }

    @Test
    void itSubscribesAgainFromWhereAnAnswerEndedUntilTheShardDoes() throws Exception {
        start(
                request -> {
                    if (request.contains("TRIM_HORIZON")) {
                        return List.of(
                                event("7", 9, record("7", "1", 1_700_000_000)),
                                event("8", 0, record("8", "2", 1_700_000_001)));
                    }
                    return request.contains("\"AFTER_SEQUENCE_NUMBER\"") && request.contains("\"8\"")
                            ? List.of(event(null, 0, record("9", "3", 1_700_000_002)))
                            : List.of();
                },
                A);
        await(3);
        while (!reader.snapshotState(1).get(0).position().isEnd()) {
            reader.isAvailable().get();
            reader.pollNext(output);
        }
        assertThat(read()).containsExactly("1", "2", "3");
        assertThat(output.records.get(2).arrivalMs()).isEqualTo(1_700_000_002_000L);
        assertThat(kinesis.subscriptions).hasSize(2);
    }

    @Test
    void anErrorInTheMiddleOfAnAnswerIsSurvived() throws Exception {
        start(
                request -> {
                    if (request.contains("TRIM_HORIZON")) {
                        return List.of(
                                event("7", 9, record("7", "1", 1_700_000_000)),
                                WireKinesis.Event.exception("InternalFailureException", "later"));
                    }
                    return List.of(event("8", 0, record("8", "2", 1_700_000_001)));
                },
                A);
        await(2);
        assertThat(read()).containsExactly("1", "2");
    }

    @Test
    void severalShardsAreSubscribedToAtOnce() throws Exception {
        start(request -> List.of(event(null, 0, record("7", request.contains(A) ? "a" : "b", 1_700_000_000))), A, B);
        await(2);
        assertThat(read()).containsExactlyInAnyOrder("a", "b");
    }
}
