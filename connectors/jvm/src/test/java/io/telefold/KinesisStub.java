package io.telefold;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.kinesis.shaded.com.amazonaws.SDKGlobalConfiguration;

/** As much of Kinesis over HTTP as it takes to read the shards of a stream from their beginnings to their ends. */
final class KinesisStub implements AutoCloseable {

    private static final Pattern ITERATOR = Pattern.compile("\"ShardIterator\":\"([^\":]+):(\\d+)\"");
    private static final Pattern SHARD = Pattern.compile("\"ShardId\":\"([^\"]+)\"");

    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Map<String, Shard> shards = new TreeMap<>();

    KinesisStub() throws IOException {
        System.setProperty(SDKGlobalConfiguration.AWS_CBOR_DISABLE_SYSTEM_PROPERTY, "true");
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", this::answer);
        server.setExecutor(threads);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    synchronized void add(String shard, String... parents) {
        shards.put(shard, new Shard(parents));
    }

    synchronized void put(String shard, int sequenceNumber) {
        shards.get(shard).records.add(sequenceNumber);
    }

    synchronized void close(String shard) {
        shards.get(shard).isClosed = true;
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }

    private void answer(HttpExchange exchange) throws IOException {
        String request = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String operation = exchange.getRequestHeaders().getFirst("X-Amz-Target").replaceFirst(".*\\.", "");
        byte[] answer = answer(operation, request).getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
        exchange.sendResponseHeaders(200, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private synchronized String answer(String operation, String request) {
        switch (operation) {
            case "DescribeStream":
                return "{\"StreamDescription\":{\"StreamARN\":\"arn:aws:kinesis:eu-west-1:1:stream/stream\","
                        + "\"StreamStatus\":\"ACTIVE\",\"HasMoreShards\":false,\"Shards\":[]}}";
            case "ListShards":
                List<String> listed = new ArrayList<>();
                shards.forEach((name, shard) -> listed.add(shard.listed(name)));
                return "{\"Shards\":[" + String.join(",", listed) + "]}";
            case "GetShardIterator":
                return "{\"ShardIterator\":\"" + found(SHARD, request).group(1) + ":0\"}";
            default:
                Matcher iterator = found(ITERATOR, request);
                return shards.get(iterator.group(1)).read(iterator.group(1), Integer.parseInt(iterator.group(2)));
        }
    }

    private static Matcher found(Pattern pattern, String request) {
        Matcher matcher = pattern.matcher(request);
        if (!matcher.find()) {
            throw new IllegalArgumentException(request);
        }
        return matcher;
    }

    private static final class Shard {

        private final List<Integer> records = new ArrayList<>();
        private final String[] parents;
        private boolean isClosed;

        Shard(String... parents) {
            this.parents = parents;
        }

        String listed(String name) {
            String[] keys = {"ParentShardId", "AdjacentParentShardId"};
            StringBuilder json = new StringBuilder("{\"ShardId\":\"" + name + "\"");
            for (int i = 0; i < parents.length; i++) {
                json.append(",\"").append(keys[i]).append("\":\"").append(parents[i]).append("\"");
            }
            return json
                    + ",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"1\"}"
                    + ",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"0\"}}";
        }

        String read(String name, int from) {
            List<String> found = new ArrayList<>();
            for (int number : records.subList(from, records.size())) {
                found.add("{\"SequenceNumber\":\"" + number + "\",\"Data\":\"eA==\",\"PartitionKey\":\"k\","
                        + "\"ApproximateArrivalTimestamp\":1.7E9}");
            }
            String next = isClosed ? "" : ",\"NextShardIterator\":\"" + name + ":" + records.size() + "\"";
            return "{\"Records\":[" + String.join(",", found) + "],\"MillisBehindLatest\":0" + next + "}";
        }
    }
}
