package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Writing with the SDK's own client, over HTTP/1.1 and in JSON, as emulators of Kinesis have it. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class SinkWireTest {

    private static final List<String> PROPERTIES = List.of("aws.accessKeyId", "aws.secretAccessKey", "aws.cborEnabled");
    private static final Pattern DATA = Pattern.compile("\"Data\":\"([^\"]*)\"");
    private static final String TAKEN = "{\"SequenceNumber\":\"7\",\"ShardId\":\"shardId-000000000000\"}";
    private static final String REFUSED =
            "{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":\"Rate exceeded\"}";

    private final List<List<String>> requests = new CopyOnWriteArrayList<>();
    private final List<String> streams = new CopyOnWriteArrayList<>();
    private HttpServer server;

    @BeforeEach
    void start() throws IOException {
        System.setProperty("aws.accessKeyId", "a");
        System.setProperty("aws.secretAccessKey", "s");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
        PROPERTIES.forEach(System::clearProperty);
    }

    /** The first request has its second record refused. */
    private void answer(HttpExchange exchange) throws IOException {
        String request = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        List<String> texts = new ArrayList<>();
        for (Matcher data = DATA.matcher(request); data.find(); ) {
            texts.add(new String(Base64.getDecoder().decode(data.group(1)), StandardCharsets.UTF_8));
        }
        streams.add(request.replaceFirst("(?s).*\"(Stream(?:Name|ARN)\":\"[^\"]*)\".*", "$1"));
        requests.add(texts);
        List<String> results = new ArrayList<>(texts.stream().map(text -> TAKEN).toList());
        if (requests.size() == 1) {
            results.set(1, REFUSED);
        }
        byte[] answer = ("{\"FailedRecordCount\":0,\"Records\":[" + String.join(",", results) + "]}")
                .getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    @Test
    void theRefusedRecordIsSentAgain() throws Exception {
        for (String name : List.of("s", "arn:aws:kinesis:eu-west-1:123456789012:stream/s")) {
            requests.clear();
            ModelTask task = new ModelTask();
            task.whileWaiting = task::awaitMail;
            SinkWriter<String> writer = sink(name).createWriter(task);
            for (String text : List.of("a", "b", "c")) {
                writer.write(text, null);
            }
            writer.flush(true);
            writer.close();
            assertThat(requests).containsExactly(List.of("a", "b", "c"), List.of("b"));
        }
        assertThat(streams)
                .containsExactly(
                        "StreamName\":\"s",
                        "StreamName\":\"s",
                        "StreamARN\":\"arn:aws:kinesis:eu-west-1:123456789012:stream/s",
                        "StreamARN\":\"arn:aws:kinesis:eu-west-1:123456789012:stream/s");
    }

    private KinesisSink<String> sink(String name) {
        return KinesisSink.<String>builder(name)
                .partitionKey(text -> text)
                .data(new SimpleStringSchema())
                .region("eu-west-1")
                .endpoint("http://127.0.0.1:" + server.getAddress().getPort())
                .withoutCbor()
                .build();
    }
}
