package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.kinesisflink.client.Clients;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;

/** Polling with the SDK's own client, over HTTP/1.1 and in JSON, as emulators of Kinesis have it. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class PollingWireTest {

    private static final String A = "shardId-000000000000";
    private static final List<String> PROPERTIES = List.of("aws.accessKeyId", "aws.secretAccessKey", "aws.cborEnabled");

    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger throttled = new AtomicInteger();
    private HttpServer server;
    private Clients clients;

    @BeforeEach
    void start() throws IOException {
        System.setProperty("aws.accessKeyId", "a");
        System.setProperty("aws.secretAccessKey", "s");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.start();
        URI url = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
        clients = new Clients("eu-west-1", url, null, true, false);
    }

    @AfterEach
    void stop() {
        server.stop(0);
        PROPERTIES.forEach(System::clearProperty);
    }

    private void answer(HttpExchange exchange) throws IOException {
        String request = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String operation = exchange.getRequestHeaders().getFirst("X-Amz-Target").replaceFirst(".*\\.", "");
        requests.add(operation + " " + request);
        boolean isThrottled = operation.equals("GetRecords") && throttled.getAndDecrement() > 0;
        String found =
                switch (operation) {
                    case "ListShards" -> "{\"Shards\":[{\"ShardId\":\"" + A + "\",\"HashKeyRange\":"
                            + "{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"340282366920938463463374607431768211455\"},"
                            + "\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"1\"}}]}";
                    case "GetShardIterator" -> "{\"ShardIterator\":\"i1\"}";
                    default -> isThrottled
                            ? "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"Rate exceeded\"}"
                            : records(request);
                };
        byte[] answer = found.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
        exchange.sendResponseHeaders(isThrottled ? 400 : 200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private static String records(String request) {
        return request.contains("\"i1\"")
                ? "{\"Records\":[" + WireKinesis.record("7", "1", 1_700_000_000)
                        + "],\"NextShardIterator\":\"i2\",\"MillisBehindLatest\":5}"
                : "{\"Records\":[" + WireKinesis.record("8", "2", 1_700_000_001) + "],\"MillisBehindLatest\":0}";
    }

    @Test
    void aShardIsReadToItsEndOverThrottling() throws Exception {
        // The SDK tries some times by itself before it says so.
        throttled.set(6);
        ModelReaderContext context = new ModelReaderContext(0, 1, event -> {});
        ModelOutput output = new ModelOutput();
        Settings settings = KinesisSource.builder("s", new AsItIs()).settings();
        ShardReader<KinesisRecord> reader =
                new ShardReader<>(context, settings, new AsItIs(), clients.create(), new TaskLoop());
        reader.addSplits(List.of(new ShardSplit(
                A, ShardPosition.atTime(1_700_000_000_000L), "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN)));
        while (!reader.snapshotState(1).get(0).position().isEnd()) {
            reader.isAvailable().get();
            reader.pollNext(output);
        }
        reader.close();
        assertThat(output.records).extracting(ModelTest::id).containsExactly("1", "2");
        assertThat(output.records)
                .extracting(KinesisRecord::arrivalMs)
                .containsExactly(1_700_000_000_000L, 1_700_000_001_000L);
        assertThat(context.count("KinesisConsumer.throttled")).isPositive();
        assertThat(requests.get(0)).contains("AT_TIMESTAMP");
    }

    /** Neither ours nor the SDK's; those of its network end a little later. */
    @Test
    void closedWhileItIsThrottledNoThreadIsLeft() throws Exception {
        throttled.set(Integer.MAX_VALUE);
        ShardReader<KinesisRecord> reader = new ShardReader<>(
                new ModelReaderContext(0, 1, event -> {}),
                KinesisSource.builder("s", new AsItIs()).settings(),
                new AsItIs(),
                clients.create(),
                new TaskLoop());
        reader.addSplits(
                List.of(new ShardSplit(A, ShardPosition.oldest(), "", "", ShardSplit.UNKNOWN, ShardSplit.UNKNOWN)));
        while (requests.size() < 3) {
            reader.isAvailable().get(10, TimeUnit.SECONDS);
            reader.pollNext(new ModelOutput());
        }
        reader.close();
        while (Thread.getAllStackTraces().keySet().stream().anyMatch(PollingWireTest::isOurs)) {
            Thread.sleep(20);
        }
    }

    private static boolean isOurs(Thread thread) {
        return thread.getName().matches("(?i).*(kinesis-source|sdk-|aws-java).*");
    }

    @Test
    void latestIsTakenFromTheDateOfAnAnswer() {
        try (KinesisAsyncClient client = clients.create()) {
            Settings settings =
                    KinesisSource.builder("s", new AsItIs()).fromLatest().settings();
            Listing.Found found = new Listing(settings, client, null, () -> 1_000_000, () -> 0.5).list();
            assertThat(found.shards()).extracting(ListedShard::id).containsExactly(A);
            assertThat(found.beginning().timeMs())
                    .isGreaterThan(1_700_000_000_000L)
                    .satisfies(time -> assertThat(time % 1_000).isZero());
            assertThat(requests.get(1)).contains("FROM_TIMESTAMP");
        }
    }
}
