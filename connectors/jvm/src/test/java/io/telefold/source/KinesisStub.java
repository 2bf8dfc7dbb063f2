package io.telefold.source;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.kinesis.shaded.com.amazonaws.SDKGlobalConfiguration;
import org.apache.flink.kinesis.shaded.com.amazonaws.services.kinesis.clientlibrary.types.Messages;
import org.apache.flink.kinesis.shaded.com.google.protobuf.ByteString;

/**
 * As much of Kinesis over HTTP as it takes to read the shards of a stream from their beginnings or from a time to their
 * ends. A record arrives so many seconds after {@link #BEGIN} as its sequence number says, or now.
 */
final class KinesisStub implements AutoCloseable {

    /** In epoch seconds. */
    static final long BEGIN = 1_700_000_000;

    private static final Pattern TIMESTAMP = Pattern.compile("\"Timestamp\":(\\d+)");
    private static final Pattern ITERATOR = Pattern.compile("\"ShardIterator\":\"([^\":]+):(\\d+)\"");
    private static final Pattern START =
            Pattern.compile("\"(A[A-Z]+)_SEQUENCE_NUMBER\".*\"StartingSequenceNumber\":\"(\\d+)\"");
    private static final String LAST_HASH_KEY = "340282366920938463463374607431768211455";
    private static final byte[] AGGREGATED = {(byte) 0xF3, (byte) 0x89, (byte) 0x9A, (byte) 0xC2};
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
        put(shard, sequenceNumber, "x".getBytes(StandardCharsets.UTF_8));
    }

    synchronized void put(String shard, int sequenceNumber, byte[] data) {
        shards.get(shard).records.put(sequenceNumber, Base64.getEncoder().encodeToString(data));
    }

    /** A record that holds others, as a Kinesis Producer Library makes it. */
    synchronized void putAggregate(String shard, int sequenceNumber, byte[]... datas) throws Exception {
        Messages.AggregatedRecord.Builder aggregate =
                Messages.AggregatedRecord.newBuilder().addPartitionKeyTable("k");
        for (byte[] data : datas) {
            aggregate.addRecords(
                    Messages.Record.newBuilder().setPartitionKeyIndex(0).setData(ByteString.copyFrom(data)));
        }
        byte[] message = aggregate.build().toByteArray();
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.write(AGGREGATED);
        whole.write(message);
        whole.write(MessageDigest.getInstance("MD5").digest(message));
        put(shard, sequenceNumber, whole.toByteArray());
    }

    /** A record that arrives now. */
    synchronized void putNow(String shard, int sequenceNumber) {
        put(shard, sequenceNumber);
        shards.get(shard).arrivals.put(sequenceNumber, System.currentTimeMillis());
    }

    /** From now on answers say that there is more, so many milliseconds ahead. */
    synchronized void saysBehind(String shard, long behindMs) {
        shards.get(shard).behindMs = behindMs;
    }

    /** From now on requests for its records fail, or are answered again. */
    synchronized void fails(String shard, boolean fails) {
        shards.get(shard).fails = fails;
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
        String found = answer(operation, request);
        byte[] answer = (found == null ? "{\"__type\":\"ProvisionedThroughputExceededException\"}" : found)
                .getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/x-amz-json-1.1");
        exchange.sendResponseHeaders(found == null ? 400 : 200, answer.length);
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
                String shard = found(SHARD, request).group(1);
                return "{\"ShardIterator\":\"" + shard + ":" + first(request) + "\"}";
            default:
                Matcher iterator = found(ITERATOR, request);
                return shards.get(iterator.group(1)).read(iterator.group(1), Integer.parseInt(iterator.group(2)));
        }
    }

    private static int first(String request) {
        if (request.contains("\"AT_TIMESTAMP\"")) {
            // Without CBOR the client writes milliseconds.
            return (int) (Long.parseLong(found(TIMESTAMP, request).group(1)) / 1_000 - BEGIN);
        }
        Matcher start = START.matcher(request);
        if (!start.find()) {
            return 0;
        }
        return Integer.parseInt(start.group(2)) + (start.group(1).equals("AFTER") ? 1 : 0);
    }

    private static Matcher found(Pattern pattern, String request) {
        Matcher matcher = pattern.matcher(request);
        if (!matcher.find()) {
            throw new IllegalArgumentException(request);
        }
        return matcher;
    }

    private static final class Shard {

        private final TreeMap<Integer, String> records = new TreeMap<>();
        private final Map<Integer, Long> arrivals = new TreeMap<>();
        private final String[] parents;
        private boolean isClosed;
        private boolean fails;
        private long behindMs;

        Shard(String... parents) {
            this.parents = parents;
        }

        String listed(String name) {
            String[] keys = {"ParentShardId", "AdjacentParentShardId"};
            StringBuilder json = new StringBuilder("{\"ShardId\":\"" + name + "\"");
            for (int i = 0; i < parents.length; i++) {
                json.append(",\"")
                        .append(keys[i])
                        .append("\":\"")
                        .append(parents[i])
                        .append("\"");
            }
            return json
                    + ",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":\"" + LAST_HASH_KEY + "\"}"
                    + ",\"SequenceNumberRange\":{\"StartingSequenceNumber\":\"0\"}}";
        }

        /** Null if it fails. */
        String read(String name, int from) {
            if (fails) {
                return null;
            }
            List<String> found = new ArrayList<>();
            records.tailMap(from)
                    .forEach((number, data) -> found.add("{\"SequenceNumber\":\"" + number
                            + "\",\"Data\":\"" + data + "\",\"PartitionKey\":\"k\","
                            + "\"ApproximateArrivalTimestamp\":" + arrival(number) + "}"));
            int behind = records.isEmpty() ? 0 : records.lastKey() + 1;
            String next = isClosed ? "" : ",\"NextShardIterator\":\"" + name + ":" + behind + "\"";
            return "{\"Records\":[" + String.join(",", found) + "],\"MillisBehindLatest\":" + behindMs + next + "}";
        }

        /** In seconds. */
        private BigDecimal arrival(int number) {
            long millis = arrivals.getOrDefault(number, (BEGIN + number) * 1_000);
            return BigDecimal.valueOf(millis, 3);
        }
    }
}
