package io.kinesisflink.source;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.Retries;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorRequest;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/**
 * Asks for records again and again, as often and for as much as a shard allows.
 *
 * <p>Where it goes on behind a record, it asks for that record once more, and whoever takes the batch leaves it out. If
 * it is not the first one that comes, the shard does not have it any more, and maybe not all that followed it. An iterator
 * passes over what was trimmed and says nothing, so where reading is behind by more than the retention, each request is
 * made like that.
 */
final class PollingFeed implements ShardFeed {

    private static final long SECOND_MS = 1_000;

    private final Loop loop;
    private final KinesisAsyncClient client;
    private final Settings settings;
    private final SourceMetrics metrics;
    private final String shard;
    private final Taker taker;
    private final Retries retries;
    private final Refusals refusals;
    private final SoughtRecord sought = new SoughtRecord();

    private ShardPosition from;
    private String iterator;
    private boolean hasMoved;
    private long readToMs = ShardSplit.UNKNOWN;
    private long notBefore;
    private long idleMs;
    private boolean isClosed;

    PollingFeed(
            Loop loop,
            KinesisAsyncClient client,
            Settings settings,
            SourceMetrics metrics,
            String shard,
            ShardPosition from,
            Taker taker) {
        this.loop = loop;
        this.client = client;
        this.settings = settings;
        this.metrics = metrics;
        this.shard = shard;
        this.from = from;
        this.taker = taker;
        this.retries = new Retries(loop::random);
        this.refusals = new Refusals(loop, client, settings, shard, taker);
        this.notBefore = loop.elapsedMs();
        this.idleMs = settings.pollMs();
    }

    @Override
    public void pull() {
        askIn(notBefore - loop.elapsedMs());
    }

    @Override
    public void close() {
        isClosed = true;
        refusals.close();
    }

    private void askIn(long delayMs) {
        if (delayMs > 0) {
            loop.later(delayMs, this::ask);
        } else {
            ask();
        }
    }

    private void ask() {
        if (isClosed) {
            return;
        }
        if (iterator == null || isBehindRetention()) {
            answered(() -> client.getShardIterator(iteratorRequest()), answer -> {
                iterator = answer.shardIterator();
                sought.seek(from);
                getRecords();
            });
        } else {
            getRecords();
        }
    }

    private boolean isBehindRetention() {
        return hasMoved && from.isAfterRecord() && readToMs < loop.nowMs() - settings.retentionMs();
    }

    private GetShardIteratorRequest iteratorRequest() {
        GetShardIteratorRequest.Builder request = GetShardIteratorRequest.builder()
                .streamName(settings.streamName())
                .streamARN(settings.streamArn())
                .shardId(shard);
        if (from.isAfterRecord()) {
            request.shardIteratorType(ShardIteratorType.AT_SEQUENCE_NUMBER)
                    .startingSequenceNumber(from.sequenceNumber());
        } else if (from.isTime()) {
            request.shardIteratorType(ShardIteratorType.AT_TIMESTAMP).timestamp(Instant.ofEpochMilli(from.timeMs()));
        } else {
            request.shardIteratorType(ShardIteratorType.TRIM_HORIZON);
        }
        return request.build();
    }

    private void getRecords() {
        long askedAt = loop.nowMs();
        long asked = loop.elapsedMs();
        notBefore = asked + settings.pollMs();
        GetRecordsRequest request = GetRecordsRequest.builder()
                .streamARN(settings.streamArn())
                .shardIterator(iterator)
                .limit(settings.maxRecords())
                .build();
        answered(() -> client.getRecords(request), answer -> take(answer, askedAt, asked));
    }

    private void take(GetRecordsResponse answer, long askedAt, long asked) {
        retries.succeeded();
        List<Record> records = answer.records();
        iterator = answer.nextShardIterator();
        boolean isLast = iterator == null;
        long behindMs = answer.millisBehindLatest() == null ? Batch.UNKNOWN : answer.millisBehindLatest();
        long readTo = readTo(records, behindMs, askedAt);
        hasMoved = !sought.isSought() || records.size() > 1;
        ShardPosition missing = sought.missing(records, isLast);
        if (!records.isEmpty()) {
            Record newest = records.get(records.size() - 1);
            from = ShardPosition.ofRead(newest.sequenceNumber(), null);
            readToMs = Math.max(readToMs, ShardReading.arrivalOf(newest));
        }
        readToMs = Math.max(readToMs, readTo);
        notBefore = asked + waitMs(records, behindMs);
        taker.take(new Batch(records, behindMs, readTo, isLast, missing));
    }

    /** Where there is nothing more, that was so when Kinesis was asked: the answer may have been on its way for long. */
    private static long readTo(List<Record> records, long behindMs, long askedAt) {
        if (!records.isEmpty()) {
            return behindMs == 0 ? askedAt : ShardSplit.UNKNOWN;
        }
        return behindMs == Batch.UNKNOWN ? askedAt : askedAt - behindMs;
    }

    private long waitMs(List<Record> records, long behindMs) {
        if (records.isEmpty()) {
            idleMs = behindMs > 0 ? settings.pollMs() : Math.min(settings.idleMs(), idleMs * 3 / 2);
            return idleMs;
        }
        idleMs = settings.pollMs();
        long bytes = 0;
        for (Record record : records) {
            bytes += record.data().asByteArrayUnsafe().length;
        }
        return Math.max(settings.pollMs(), bytes * SECOND_MS / settings.bytesPerSecond());
    }

    private <R> void answered(Supplier<CompletableFuture<R>> request, Consumer<R> then) {
        Answers.to(
                loop,
                request,
                answer -> {
                    if (!isClosed) {
                        then.accept(answer);
                    }
                },
                this::failed);
    }

    private void failed(Throwable thrown) {
        if (isClosed) {
            return;
        }
        Failure failure = Failure.of(thrown);
        long delayMs = retries.failed(failure);
        switch (failure) {
            case THROTTLED -> metrics.throttled();
            case EXPIRED_ITERATOR -> {
                metrics.iteratorExpired();
                iterator = null;
                retries.succeeded();
                delayMs = notBefore - loop.elapsedMs();
            }
            default -> metrics.failed(shard, thrown, retries.failures());
        }
        long waitMs = delayMs;
        if (retries.isRefused()) {
            refusals.judge(failure, thrown, () -> askIn(waitMs));
        } else {
            askIn(waitMs);
        }
    }
}
