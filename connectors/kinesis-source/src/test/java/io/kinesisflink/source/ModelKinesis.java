package io.kinesisflink.source;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.SdkPublisher;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.ExpiredIteratorException;
import software.amazon.awssdk.services.kinesis.model.GetRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorRequest;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorResponse;
import software.amazon.awssdk.services.kinesis.model.KinesisException;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;
import software.amazon.awssdk.services.kinesis.model.ProvisionedThroughputExceededException;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardFilterType;
import software.amazon.awssdk.services.kinesis.model.StartingPosition;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponse;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/**
 * Kinesis in memory, with a clock of its own: shards that are split and merged, iterators that expire, records that are
 * trimmed, requests that are throttled or fail. It answers at once, or when it is told to.
 */
public class ModelKinesis implements KinesisAsyncClient {

    static final BigInteger LAST_HASH_KEY = BigInteger.TWO.pow(128).subtract(BigInteger.ONE);
    private static final long ITERATOR_MS = 300_000;
    private static final BigInteger FIRST_NUMBER = BigInteger.TEN.pow(55).multiply(BigInteger.valueOf(4));

    /** What was put: its id, partition key, shard, sequence number and index in an aggregate or null. */
    public record Put(String id, String key, String shard, String number, Long index, long arrivalMs) {}

    private record Stored(String number, long arrivalMs, String key, byte[] data) {}

    private static final class ModelShard {
        private final String id;
        private final List<String> parents;
        private final BigInteger first;
        private final BigInteger last;
        private final List<Stored> records = new ArrayList<>();
        private long closedAt = Long.MAX_VALUE;
        private int trimmed;

        private ModelShard(String id, List<String> parents, BigInteger first, BigInteger last) {
            this.id = id;
            this.parents = parents;
            this.first = first;
            this.last = last;
        }

        private boolean isOpen() {
            return closedAt == Long.MAX_VALUE;
        }
    }

    public final List<Put> puts = new ArrayList<>();
    final List<String> requests = Collections.synchronizedList(new ArrayList<>());
    public long nowMs = 1_700_000_000_000L;
    public boolean isDelayed;
    boolean isStreamDeleted;
    public double throttling;
    public double failing;
    int pageSize = 100;
    public boolean endsWithLastRecord = true;

    private final Random random;
    private final Map<String, ModelShard> shards = new TreeMap<>();
    private final List<Runnable> unanswered = new ArrayList<>();
    private long numbers;
    private int made;

    public ModelKinesis(Random random, int shards) {
        this.random = random;
        BigInteger width = LAST_HASH_KEY.divide(BigInteger.valueOf(shards));
        for (int i = 0; i < shards; i++) {
            BigInteger first = width.multiply(BigInteger.valueOf(i)).add(i == 0 ? BigInteger.ZERO : BigInteger.ONE);
            add(List.of(), first, i == shards - 1 ? LAST_HASH_KEY : width.multiply(BigInteger.valueOf(i + 1)));
        }
    }

    private synchronized String add(List<String> parents, BigInteger first, BigInteger last) {
        String id = String.format("shardId-%012d", made++);
        shards.put(id, new ModelShard(id, parents, first, last));
        return id;
    }

    /** What was asked. */
    public List<String> requests() {
        return List.copyOf(requests);
    }

    // What producers and operators of the stream do

    public synchronized List<String> openShards() {
        return shards.values().stream()
                .filter(ModelShard::isOpen)
                .map(shard -> shard.id)
                .toList();
    }

    public synchronized List<String> shards() {
        return List.copyOf(shards.keySet());
    }

    /** Whether the shard was there from the beginning. */
    public synchronized boolean isFirst(String shard) {
        return shards.get(shard).parents.isEmpty();
    }

    public synchronized int shardsEver() {
        return made;
    }

    public synchronized String shardOf(String key) {
        BigInteger hash = Aggregate.hashKey(key);
        return shards.values().stream()
                .filter(shard -> shard.isOpen() && shard.first.compareTo(hash) <= 0 && shard.last.compareTo(hash) >= 0)
                .findFirst()
                .orElseThrow()
                .id;
    }

    public synchronized Put put(String key, String id) {
        String shard = shardOf(key);
        Put put = new Put(id, key, shard, store(shard, key, bytes(id)), null, nowMs);
        puts.add(put);
        return put;
    }

    /** Records with these keys in one: those of another shard than the first are left out. */
    public synchronized List<Put> putAggregate(List<String> keys, List<String> ids) {
        String shard = shardOf(keys.get(0));
        List<Aggregate.UserRecord> records = new ArrayList<>();
        List<Integer> taken = new ArrayList<>();
        for (int i = 0; i < keys.size(); i++) {
            if (shardOf(keys.get(i)).equals(shard)) {
                records.add(new Aggregate.UserRecord(keys.get(i), null, bytes(ids.get(i))));
                taken.add(i);
            }
        }
        String number = store(shard, "a", Aggregates.of(records));
        List<Put> made = new ArrayList<>();
        for (int i = 0; i < taken.size(); i++) {
            made.add(new Put(ids.get(taken.get(i)), keys.get(taken.get(i)), shard, number, (long) i, nowMs));
        }
        puts.addAll(made);
        return made;
    }

    synchronized String store(String shard, String key, byte[] data) {
        String number = FIRST_NUMBER.add(BigInteger.valueOf(numbers += 7)).toString();
        shards.get(shard).records.add(new Stored(number, nowMs, key, data));
        return number;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** Splits a shard in two halves. */
    public synchronized List<String> split(String id) {
        ModelShard shard = shards.get(id);
        shard.closedAt = nowMs;
        BigInteger middle = shard.first.add(shard.last).shiftRight(1);
        return List.of(add(List.of(id), shard.first, middle), add(List.of(id), middle.add(BigInteger.ONE), shard.last));
    }

    /** Merges a shard with the open one behind it; null if there is none. */
    public synchronized String merge(String id) {
        ModelShard shard = shards.get(id);
        BigInteger next = shard.last.add(BigInteger.ONE);
        ModelShard neighbour = shards.values().stream()
                .filter(other -> other.isOpen() && other.first.equals(next))
                .findFirst()
                .orElse(null);
        if (neighbour == null) {
            return null;
        }
        shard.closedAt = nowMs;
        neighbour.closedAt = nowMs;
        return add(List.of(id, neighbour.id), shard.first, neighbour.last);
    }

    /** The shards that a shard came of. */
    public synchronized List<String> parents(String id) {
        return shards.get(id).parents;
    }

    /** Takes away the oldest records of a shard. */
    public synchronized void trim(String id, int records) {
        shards.get(id).trimmed += records;
    }

    /** Takes away a shard. */
    public synchronized void expire(String id) {
        shards.remove(id);
    }

    // What a client asks

    /** Answers requests that wait, one of them chosen at random; false if there is none. */
    public boolean answerOne() {
        Runnable answer;
        synchronized (this) {
            if (unanswered.isEmpty()) {
                return false;
            }
            answer = unanswered.remove(random.nextInt(unanswered.size()));
        }
        answer.run();
        return true;
    }

    public void answerAll() {
        while (answerOne()) {
            // until there is none
        }
    }

    private <R> CompletableFuture<R> answer(Supplier<R> answer) {
        return answer(answer, isDelayed);
    }

    private <R> CompletableFuture<R> answer(Supplier<R> answer, boolean isDelayed) {
        CompletableFuture<R> future = new CompletableFuture<>();
        Runnable completes = () -> {
            try {
                R made;
                synchronized (this) {
                    fail();
                    made = answer.get();
                }
                future.complete(made);
            } catch (KinesisException e) {
                future.completeExceptionally(e);
            }
        };
        if (isDelayed) {
            synchronized (this) {
                unanswered.add(completes);
            }
        } else {
            completes.run();
        }
        return future;
    }

    private void fail() {
        if (isStreamDeleted) {
            throw notFound("Stream s under account 1 not found.");
        }
        if (throttling > 0 && random.nextDouble() < throttling) {
            throw throttled();
        }
        if (failing > 0 && random.nextDouble() < failing) {
            throw (KinesisException) KinesisException.builder()
                    .statusCode(500)
                    .message("internal")
                    .build();
        }
    }

    static KinesisException throttled() {
        return ProvisionedThroughputExceededException.builder()
                .message("Rate exceeded")
                .statusCode(400)
                .awsErrorDetails(AwsErrorDetails.builder()
                        .errorCode("ProvisionedThroughputExceededException")
                        .build())
                .build();
    }

    static KinesisException notFound(String message) {
        return ResourceNotFoundException.builder()
                .message(message)
                .statusCode(400)
                .build();
    }

    static KinesisException denied() {
        return (KinesisException) KinesisException.builder()
                .message("not authorized")
                .statusCode(400)
                .awsErrorDetails(AwsErrorDetails.builder()
                        .errorCode("AccessDeniedException")
                        .build())
                .build();
    }

    @Override
    public CompletableFuture<GetShardIteratorResponse> getShardIterator(GetShardIteratorRequest request) {
        requests.add("GetShardIterator " + request.shardId() + " " + request.shardIteratorType());
        return answer(() -> {
            ModelShard shard = shard(request.shardId());
            int place =
                    switch (request.shardIteratorType()) {
                        case TRIM_HORIZON -> shard.trimmed;
                        case AT_TIMESTAMP -> firstAt(shard, request.timestamp().toEpochMilli());
                        case AT_SEQUENCE_NUMBER -> firstFrom(shard, request.startingSequenceNumber());
                        default -> throw new AssertionError("Not asked for: " + request);
                    };
            return GetShardIteratorResponse.builder()
                    .shardIterator(iterator(shard.id, place))
                    .build();
        });
    }

    private ModelShard shard(String id) {
        ModelShard shard = shards.get(id);
        if (shard == null) {
            throw notFound("Shard " + id + " in stream s under account 1 does not exist");
        }
        return shard;
    }

    private static int firstAt(ModelShard shard, long timeMs) {
        int place = 0;
        while (place < shard.records.size() && shard.records.get(place).arrivalMs < timeMs) {
            place++;
        }
        return place;
    }

    private static int firstFrom(ModelShard shard, String number) {
        int place = 0;
        while (place < shard.records.size()
                && ShardPosition.compareNumbers(shard.records.get(place).number, number) < 0) {
            place++;
        }
        return place;
    }

    private String iterator(String shard, int place) {
        return shard + "/" + place + "/" + nowMs;
    }

    @Override
    public CompletableFuture<GetRecordsResponse> getRecords(GetRecordsRequest request) {
        String[] iterator = request.shardIterator().split("/");
        requests.add("GetRecords " + iterator[0]);
        return answer(() -> {
            if (nowMs - Long.parseLong(iterator[2]) > ITERATOR_MS) {
                throw ExpiredIteratorException.builder()
                        .message("Iterator expired")
                        .statusCode(400)
                        .build();
            }
            ModelShard shard = shard(iterator[0]);
            int from = Math.max(Integer.parseInt(iterator[1]), shard.trimmed);
            int to = Math.min(shard.records.size(), from + request.limit());
            return records(shard, Math.min(from, to), to);
        });
    }

    private GetRecordsResponse records(ModelShard shard, int from, int to) {
        List<Record> records = shown(shard.records.subList(from, to));
        boolean isAtEnd = to == shard.records.size();
        boolean isLast = isAtEnd && !shard.isOpen() && (endsWithLastRecord || records.isEmpty());
        return GetRecordsResponse.builder()
                .records(records)
                .millisBehindLatest(behindMs(shard, to))
                .nextShardIterator(isLast ? null : iterator(shard.id, to))
                .build();
    }

    private long behindMs(ModelShard shard, int place) {
        return place == shard.records.size() ? 0 : Math.max(1, nowMs - shard.records.get(place).arrivalMs);
    }

    private static List<Record> shown(List<Stored> all) {
        return all.stream()
                .map(stored -> Record.builder()
                        .sequenceNumber(stored.number)
                        .approximateArrivalTimestamp(Instant.ofEpochMilli(stored.arrivalMs))
                        .partitionKey(stored.key)
                        .data(SdkBytes.fromByteArrayUnsafe(stored.data))
                        .build())
                .toList();
    }

    // Enhanced fan-out

    private final class Subscribed implements Subscription {

        private final String shard;
        private final CompletableFuture<Void> done = new CompletableFuture<>();
        private Subscriber<? super SubscribeToShardEventStream> subscriber;
        private int place;
        private long asked;
        private String continuation;

        private Subscribed(String shard, int place, String continuation) {
            this.shard = shard;
            this.place = place;
            this.continuation = continuation;
        }

        @Override
        public void request(long events) {
            asked += events;
        }

        @Override
        public void cancel() {
            subscriptions.remove(this);
        }

        /** Sends an event with some records, or none; what it gives to go on with is behind all of them. */
        private void send() {
            ModelShard from = shards.get(shard);
            int to = Math.min(from.records.size(), place + random.nextInt(4));
            List<Record> records = shown(from.records.subList(place, to));
            boolean isLast = to == from.records.size() && !from.isOpen();
            place = to;
            asked--;
            if (to > 0) {
                continuation = new BigInteger(from.records.get(to - 1).number)
                        .add(BigInteger.valueOf(random.nextInt(6)))
                        .toString();
            }
            subscriber.onNext(SubscribeToShardEvent.builder()
                    .records(records)
                    .millisBehindLatest(behindMs(from, to))
                    .continuationSequenceNumber(isLast ? null : continuation)
                    .build());
            if (isLast) {
                complete();
            }
        }

        private void complete() {
            subscriptions.remove(this);
            subscriber.onComplete();
            done.complete(null);
        }

        private void fail() {
            subscriptions.remove(this);
            RuntimeException failure = new IllegalStateException("connection reset");
            subscriber.onError(failure);
            done.completeExceptionally(failure);
        }
    }

    private final List<Subscribed> subscriptions = new ArrayList<>();

    /** One subscription that waits gets an event, or now and then ends or fails; false if none waits. */
    boolean sendOne(boolean withFaults) {
        List<Subscribed> waiting =
                subscriptions.stream().filter(one -> one.asked > 0).toList();
        if (waiting.isEmpty()) {
            return false;
        }
        Subscribed chosen = waiting.get(random.nextInt(waiting.size()));
        int fault = withFaults ? random.nextInt(20) : 2;
        if (fault == 0) {
            chosen.complete();
        } else if (fault == 1) {
            chosen.fail();
        } else {
            chosen.send();
        }
        return true;
    }

    @Override
    public CompletableFuture<Void> subscribeToShard(
            SubscribeToShardRequest request, SubscribeToShardResponseHandler handler) {
        StartingPosition start = request.startingPosition();
        return answer(() -> {
                    ModelShard shard = shard(request.shardId());
                    int place =
                            switch (start.type()) {
                                case TRIM_HORIZON -> shard.trimmed;
                                case AT_TIMESTAMP -> firstAt(
                                        shard, start.timestamp().toEpochMilli());
                                case AT_SEQUENCE_NUMBER -> firstFrom(shard, start.sequenceNumber());
                                case AFTER_SEQUENCE_NUMBER -> firstFrom(
                                        shard,
                                        new BigInteger(start.sequenceNumber())
                                                .add(BigInteger.ONE)
                                                .toString());
                                default -> throw new AssertionError("Not asked for: " + request);
                            };
                    String continuation = start.sequenceNumber() == null ? "1" : start.sequenceNumber();
                    return new Subscribed(shard.id, place, continuation);
                })
                .thenCompose(subscribed -> {
                    subscriptions.add(subscribed);
                    handler.responseReceived(SubscribeToShardResponse.builder().build());
                    handler.onEventStream(SdkPublisher.adapt(subscriber -> {
                        subscribed.subscriber = subscriber;
                        subscriber.onSubscribe(subscribed);
                    }));
                    return subscribed.done;
                });
    }

    /** At once: a listing is waited for. */
    @Override
    public CompletableFuture<ListShardsResponse> listShards(ListShardsRequest request) {
        requests.add("ListShards"
                + (request.shardFilter() == null
                        ? ""
                        : " " + request.shardFilter().type()));
        return answer(
                () -> {
                    String[] token = request.nextToken() == null
                            ? new String[] {"0", String.valueOf(filteredFrom(request))}
                            : request.nextToken().split("/");
                    int from = Integer.parseInt(token[0]);
                    long filteredFrom = Long.parseLong(token[1]);
                    List<Shard> all = shards.values().stream()
                            .filter(shard -> shard.closedAt >= filteredFrom)
                            .sorted(Comparator.comparing(shard -> shard.id))
                            .map(ModelKinesis::shown)
                            .toList();
                    int to = Math.min(all.size(), from + pageSize);
                    return ListShardsResponse.builder()
                            .shards(all.subList(Math.min(from, to), to))
                            .nextToken(to == all.size() ? null : to + "/" + filteredFrom)
                            .build();
                },
                false);
    }

    private static long filteredFrom(ListShardsRequest request) {
        return request.shardFilter() != null && request.shardFilter().type() == ShardFilterType.FROM_TIMESTAMP
                ? request.shardFilter().timestamp().toEpochMilli()
                : Long.MIN_VALUE;
    }

    private static Shard shown(ModelShard shard) {
        return Shard.builder()
                .shardId(shard.id)
                .parentShardId(shard.parents.isEmpty() ? null : shard.parents.get(0))
                .adjacentParentShardId(shard.parents.size() < 2 ? null : shard.parents.get(1))
                .hashKeyRange(
                        range -> range.startingHashKey(shard.first.toString()).endingHashKey(shard.last.toString()))
                .build();
    }

    @Override
    public String serviceName() {
        return "kinesis";
    }

    @Override
    public void close() {}
}
