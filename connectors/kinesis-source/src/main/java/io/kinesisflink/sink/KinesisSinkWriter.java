package io.kinesisflink.sink;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.Retries;
import io.kinesisflink.client.StreamId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.DoubleSupplier;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.util.FlinkRuntimeException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResultEntry;

/**
 * One subtask. All of it runs in the task's thread, which answers and timers come to by its mailbox. That thread waits for
 * Kinesis where the buffer is full, for what is under way where a checkpoint is taken, and for all at the end of input.
 */
final class KinesisSinkWriter<T> implements StatefulSinkWriter<T, SinkState> {

    /** A request without an answer is given up after this long; a checkpoint waits for it. */
    private static final Duration LONGEST_REQUEST = Duration.ofMinutes(1);

    private final MailboxExecutor mailbox;
    private final ProcessingTimeService time;
    private final SinkSettings settings;
    private final Entries<T> entries;
    private final KinesisAsyncClient client;
    private final DoubleSupplier random;
    private final Outbox outbox;
    private final SinkMetrics metrics;
    private int underWay;

    /** Whether what may go goes at once, without waiting for a full request. */
    private boolean isDue;

    /** Whether nothing is sent, since what is under way is waited for. */
    private boolean isHeld;

    private boolean isTimed;

    /** Takes a client, which it closes, and a source of numbers from 0 to 1. */
    KinesisSinkWriter(
            WriterInitContext context,
            SinkSettings settings,
            Entries<T> entries,
            Collection<SinkState> restored,
            KinesisAsyncClient client,
            DoubleSupplier random) {
        this.mailbox = context.getMailboxExecutor();
        this.time = context.getProcessingTimeService();
        this.settings = settings;
        this.entries = entries;
        this.client = client;
        this.random = random;
        this.outbox = new Outbox(settings.isOrdered(), SinkSettings.REQUEST_RECORDS, settings.requestBytes());
        this.metrics = new SinkMetrics(context.metricGroup(), settings.stream(), outbox);
        restored.forEach(state -> state.entries().forEach(outbox::add));
        if (!outbox.isEmpty()) {
            in(0, this::sendAll);
        }
    }

    @Override
    public void write(T element, Context context) throws InterruptedException {
        PutEntry entry = entries.of(element);
        while (isFull()) {
            sendAll();
            mailbox.yield();
        }
        outbox.add(entry);
        send();
        if (!isTimed && !outbox.isEmpty()) {
            isTimed = true;
            in(settings.maxTimeInBufferMs(), this::timeIsUp);
        }
    }

    private boolean isFull() {
        return outbox.records() >= settings.maxBufferedRecords() || outbox.bytes() >= settings.maxBufferedBytes();
    }

    private void timeIsUp() {
        isTimed = false;
        sendAll();
    }

    @Override
    public void flush(boolean endOfInput) throws InterruptedException {
        isHeld = !endOfInput;
        while (underWay > 0 || (endOfInput && !outbox.isEmpty())) {
            if (endOfInput) {
                sendAll();
            }
            mailbox.yield();
        }
        isHeld = false;
        if (!outbox.isEmpty()) {
            in(0, this::send);
        }
    }

    @Override
    public List<SinkState> snapshotState(long checkpoint) {
        return outbox.isEmpty() ? List.of() : List.of(new SinkState(outbox.all()));
    }

    @Override
    public void close() {
        client.close();
    }

    private void in(long delayMs, Runnable task) {
        time.registerTimer(time.getCurrentProcessingTime() + delayMs, now -> task.run());
    }

    /** Also what would not fill a request. */
    private void sendAll() {
        isDue = true;
        send();
    }

    private void send() {
        while (!isHeld
                && underWay < settings.maxInFlightRequests()
                && outbox.hasReady()
                && (isDue || outbox.hasFullRequest())) {
            put(outbox.next());
        }
        isDue &= outbox.hasReady();
    }

    private void put(List<PutEntry> batch) {
        underWay++;
        long began = time.getCurrentProcessingTime();
        asked(request(batch))
                .whenComplete((answer, thrown) -> mailbox.execute(
                        () -> {
                            metrics.answered(time.getCurrentProcessingTime() - began);
                            answered(batch, answer, thrown);
                        },
                        "answer of Kinesis"));
    }

    private PutRecordsRequest request(List<PutEntry> batch) {
        return PutRecordsRequest.builder()
                .streamName(StreamId.nameOf(settings.stream()))
                .streamARN(StreamId.arnOf(settings.stream()))
                .records(batch.stream().map(KinesisSinkWriter::record).toList())
                .overrideConfiguration(options -> options.apiCallTimeout(LONGEST_REQUEST))
                .build();
    }

    private static PutRecordsRequestEntry record(PutEntry entry) {
        return PutRecordsRequestEntry.builder()
                .partitionKey(entry.partitionKey())
                .data(SdkBytes.fromByteArrayUnsafe(entry.data()))
                .build();
    }

    private CompletableFuture<PutRecordsResponse> asked(PutRecordsRequest request) {
        try {
            return client.putRecords(request);
        } catch (RuntimeException e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private void answered(List<PutEntry> batch, PutRecordsResponse answer, Throwable thrown) {
        underWay--;
        if (thrown != null) {
            failed(batch, Failure.of(thrown), Failure.causeOf(thrown), true);
        } else if (answer.records().size() != batch.size()) {
            String said = answer.records().size() + " results for " + batch.size() + " records";
            failed(batch, Failure.PASSING, new IllegalStateException(said), true);
        } else {
            answered(batch, answer.records());
        }
        send();
    }

    /** Each record has its result: what was taken is done with, and the rest goes again, each kind of failure by itself. */
    private void answered(List<PutEntry> batch, List<PutRecordsResultEntry> results) {
        Map<Failure, List<PutEntry>> left = new EnumMap<>(Failure.class);
        Map<Failure, PutRecordsResultEntry> said = new EnumMap<>(Failure.class);
        for (int i = 0; i < batch.size(); i++) {
            PutRecordsResultEntry result = results.get(i);
            if (result.errorCode() == null) {
                taken(batch.get(i));
            } else {
                Failure failure = Failure.ofCode(result.errorCode());
                left.computeIfAbsent(failure, kind -> new ArrayList<>()).add(batch.get(i));
                said.put(failure, result);
            }
        }
        boolean isAll = left.values().stream().mapToInt(List::size).sum() == batch.size();
        left.forEach((failure, some) -> failed(some, failure, exception(said.get(failure)), isAll));
    }

    private void taken(PutEntry entry) {
        metrics.taken(entry);
        isDue |= outbox.taken(entry);
    }

    private static Exception exception(PutRecordsResultEntry result) {
        return new IllegalStateException(result.errorCode() + ": " + result.errorMessage());
    }

    /**
     * Has records sent again after a while, before those that wait for them. Where the same request brought others into the
     * stream, Kinesis is there and the while is short.
     */
    private void failed(List<PutEntry> some, Failure failure, Throwable said, boolean isAll) {
        some.forEach(entry -> entry.failed(failure));
        if (some.stream().anyMatch(PutEntry::isRefused)) {
            throw refused(failure, said);
        }
        metrics.retried(some, failure, said);
        int failures = some.stream().mapToInt(PutEntry::failures).max().orElseThrow();
        in(Retries.delayMs(isAll ? failures - 1 : 0, random.getAsDouble()), () -> {
            some.forEach(outbox::again);
            sendAll();
        });
    }

    private FlinkRuntimeException refused(Failure failure, Throwable said) {
        String look = failure == Failure.NOT_FOUND
                ? "Kinesis does not find stream " + settings.stream()
                        + ": see that it exists, in the region of the sink"
                : "Kinesis refuses records for stream " + settings.stream() + ": see that the job may write there"
                        + " (kinesis:PutRecords, and the key of the stream if it is encrypted) and that the stream takes"
                        + " records of " + settings.maxRecordBytes() + " bytes";
        return new FlinkRuntimeException(look + " (" + said.getMessage() + ")", said);
    }
}
