package io.kinesisflink.sink;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.KinesisException;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResultEntry;

/**
 * A stream in memory, which takes records by a rule, and the client of one attempt of a task. It answers at once, or when it
 * is told to. A request that Kinesis would not take at all fails the test.
 */
final class ModelStream {

    static final String THROTTLED = "ProvisionedThroughputExceededException";
    static final String INTERNAL = "InternalFailure";
    static final String DENIED = "AccessDeniedException";
    private static final int REQUEST_RECORDS = 500;
    private static final int REQUEST_BYTES = 5 * 1024 * 1024;

    /** A record as it came, and by which attempt of the task. */
    record Put(String key, String text, int attempt) {}

    /** What becomes of a record: an error code, or null if it is taken. One that throws answers for the whole request. */
    interface Rule {
        String codeOf(Put put, int index);
    }

    final List<Put> taken = new ArrayList<>();
    final List<List<Put>> requests = new ArrayList<>();
    Rule rule = (put, index) -> null;
    boolean isDelayed;
    int requestBytes = REQUEST_BYTES;
    int closed;

    /** Whether the next answer is lost: its records are taken, and nobody hears of it. */
    boolean isAnswerLost;

    private final Random random;
    private final List<Runnable> unanswered = new ArrayList<>();
    private final Set<String> keysUnderWay = new HashSet<>();
    private boolean isOrdered = true;

    ModelStream(Random random) {
        this.random = random;
    }

    void withoutOrder() {
        isOrdered = false;
    }

    int underWay() {
        return unanswered.size();
    }

    boolean answerOne() {
        if (unanswered.isEmpty()) {
            return false;
        }
        unanswered.remove(random.nextInt(unanswered.size())).run();
        return true;
    }

    /** A crash of the task: some of the requests under way arrive, the others do not, and no answer is heard. */
    void crash() {
        while (!unanswered.isEmpty()) {
            Runnable request = unanswered.remove(0);
            if (random.nextBoolean()) {
                request.run();
            }
        }
        keysUnderWay.clear();
    }

    List<String> texts() {
        return taken.stream().map(Put::text).toList();
    }

    /** The texts of each request. */
    List<List<String>> asked() {
        return requests.stream()
                .map(request -> request.stream().map(Put::text).toList())
                .toList();
    }

    KinesisAsyncClient client(int attempt) {
        return new KinesisAsyncClient() {
            @Override
            public CompletableFuture<PutRecordsResponse> putRecords(PutRecordsRequest request) {
                return put(request, attempt);
            }

            @Override
            public String serviceName() {
                return "kinesis";
            }

            @Override
            public void close() {
                closed++;
            }
        };
    }

    private CompletableFuture<PutRecordsResponse> put(PutRecordsRequest request, int attempt) {
        check(request);
        List<Put> puts = request.records().stream()
                .map(record -> new Put(
                        record.partitionKey(),
                        new String(record.data().asByteArrayUnsafe(), StandardCharsets.UTF_8),
                        attempt))
                .toList();
        requests.add(puts);
        CompletableFuture<PutRecordsResponse> future = new CompletableFuture<>();
        if (isDelayed) {
            unanswered.add(() -> answer(puts, future));
        } else {
            answer(puts, future);
        }
        return future;
    }

    private void check(PutRecordsRequest request) {
        if (request.records().isEmpty() || request.records().size() > REQUEST_RECORDS) {
            throw new AssertionError(request.records().size() + " records in a request");
        }
        long bytes = 0;
        for (PutRecordsRequestEntry record : request.records()) {
            bytes += record.partitionKey().length() + record.data().asByteArrayUnsafe().length;
            if (isOrdered && !keysUnderWay.add(record.partitionKey())) {
                throw new AssertionError("Two records of " + record.partitionKey() + " are under way");
            }
        }
        if (bytes > requestBytes) {
            throw new AssertionError(bytes + " bytes in a request");
        }
    }

    private void answer(List<Put> puts, CompletableFuture<PutRecordsResponse> future) {
        puts.forEach(put -> keysUnderWay.remove(put.key()));
        try {
            List<PutRecordsResultEntry> results = new ArrayList<>();
            for (int i = 0; i < puts.size(); i++) {
                results.add(result(puts.get(i), i));
            }
            if (isAnswerLost) {
                isAnswerLost = false;
                throw new IllegalStateException("connection reset");
            }
            future.complete(PutRecordsResponse.builder().records(results).build());
        } catch (RuntimeException e) {
            future.completeExceptionally(e);
        }
    }

    private PutRecordsResultEntry result(Put put, int index) {
        String code = rule.codeOf(put, index);
        if (code == null) {
            taken.add(put);
            return PutRecordsResultEntry.builder()
                    .sequenceNumber("" + taken.size())
                    .build();
        }
        return PutRecordsResultEntry.builder()
                .errorCode(code)
                .errorMessage("as told to")
                .build();
    }

    static KinesisException refusal(int status, String code, String message) {
        return (KinesisException) KinesisException.builder()
                .statusCode(status)
                .message(message)
                .awsErrorDetails(AwsErrorDetails.builder().errorCode(code).build())
                .build();
    }
}
