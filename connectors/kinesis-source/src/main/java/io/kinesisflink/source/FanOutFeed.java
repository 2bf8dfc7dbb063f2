package io.kinesisflink.source;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.Retries;
import java.time.Instant;
import java.util.List;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.StartingPosition;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/**
 * Subscribes to a shard with enhanced fan-out. Kinesis ends each subscription after five minutes, and an event comes every
 * few seconds, also without records. One event is asked for at a time, so what is not handed on holds Kinesis back.
 */
final class FanOutFeed implements ShardFeed {

    /** After such a silence the subscription is taken for lost, in milliseconds. */
    static final long SILENCE_MS = 40_000;

    /** An event that was waited for at least so long was made after it was asked for; one that lay ready may be older. */
    static final long WAITED_MS = 1_000;

    private final Loop loop;
    private final KinesisAsyncClient client;
    private final Settings settings;
    private final SourceMetrics metrics;
    private final String consumerArn;
    private final String shard;
    private final Taker taker;
    private final Retries retries;
    private final Refusals refusals;
    private final SoughtRecord sought = new SoughtRecord();

    private ShardPosition from;
    private boolean isContinued;

    /** The one that is heard; what comes of another is of no interest any more. */
    private Events events;

    private boolean isWanted;
    private boolean isRetrying;
    private long asked;
    private boolean isClosed;

    FanOutFeed(
            Loop loop,
            KinesisAsyncClient client,
            Settings settings,
            SourceMetrics metrics,
            String consumerArn,
            String shard,
            ShardPosition from,
            Taker taker) {
        this.loop = loop;
        this.client = client;
        this.settings = settings;
        this.metrics = metrics;
        this.consumerArn = consumerArn;
        this.shard = shard;
        this.from = from;
        this.taker = taker;
        this.retries = new Retries(loop::random);
        this.refusals = new Refusals(loop, client, settings, shard, taker);
    }

    @Override
    public void pull() {
        isWanted = true;
        if (events != null) {
            events.ask();
        } else if (!isRetrying) {
            subscribe();
        }
    }

    @Override
    public void close() {
        isClosed = true;
        refusals.close();
        leave();
    }

    private void leave() {
        if (events != null) {
            events.cancel();
            events = null;
        }
    }

    private void subscribe() {
        isRetrying = false;
        if (isClosed) {
            return;
        }
        Events subscribed = new Events();
        events = subscribed;
        if (isContinued) {
            sought.seekNone();
        } else {
            sought.seek(from);
        }
        SubscribeToShardRequest request = SubscribeToShardRequest.builder()
                .consumerARN(consumerArn)
                .shardId(shard)
                .startingPosition(startingPosition())
                .build();
        SubscribeToShardResponseHandler handler = SubscribeToShardResponseHandler.builder()
                .subscriber(() -> subscribed)
                .onError(failure -> loop.run(() -> failed(subscribed, failure)))
                .build();
        Answers.to(
                loop,
                () -> client.subscribeToShard(request, handler),
                done -> completed(subscribed),
                failure -> failed(subscribed, failure));
        watch(subscribed);
    }

    /** A position that Kinesis gave to go on with needs not be that of a record. */
    private StartingPosition startingPosition() {
        StartingPosition.Builder position = StartingPosition.builder();
        if (from.isAfterRecord()) {
            position.type(isContinued ? ShardIteratorType.AFTER_SEQUENCE_NUMBER : ShardIteratorType.AT_SEQUENCE_NUMBER)
                    .sequenceNumber(from.sequenceNumber());
        } else if (from.isTime()) {
            position.type(ShardIteratorType.AT_TIMESTAMP).timestamp(Instant.ofEpochMilli(from.timeMs()));
        } else {
            position.type(ShardIteratorType.TRIM_HORIZON);
        }
        return position.build();
    }

    private void watch(Events watched) {
        asked = loop.elapsedMs();
        loop.later(SILENCE_MS, () -> look(watched));
    }

    private void look(Events watched) {
        if (isClosed || events != watched) {
            return;
        }
        long silentMs = isWanted ? loop.elapsedMs() - asked : 0;
        if (silentMs >= SILENCE_MS) {
            failed(watched, new IllegalStateException("Nothing was heard for " + silentMs + " ms"));
        } else {
            loop.later(SILENCE_MS - silentMs, () -> look(watched));
        }
    }

    private void take(Events from, SubscribeToShardEvent event) {
        if (isClosed || events != from) {
            return;
        }
        retries.succeeded();
        List<Record> records = event.records();
        long behindMs = event.millisBehindLatest() == null ? Batch.UNKNOWN : event.millisBehindLatest();
        boolean isLast = event.continuationSequenceNumber() == null;
        ShardPosition missing = sought.missing(records, isLast);
        boolean isTip = records.isEmpty() && behindMs == 0 && loop.elapsedMs() - asked >= WAITED_MS;
        if (isLast) {
            leave();
        } else {
            this.from = ShardPosition.ofRead(event.continuationSequenceNumber(), null);
            isContinued = true;
        }
        isWanted = false;
        taker.take(new Batch(records, behindMs, isTip ? loop.nowMs() : ShardSplit.UNKNOWN, isLast, missing));
    }

    /** Kinesis ends a subscription after five minutes. */
    private void completed(Events from) {
        if (!isClosed && events == from) {
            events = null;
            if (isWanted) {
                subscribe();
            }
        }
    }

    private void failed(Events from, Throwable thrown) {
        if (isClosed || events != from) {
            return;
        }
        leave();
        Failure failure = Failure.of(thrown);
        long delayMs = retries.failed(failure);
        if (failure == Failure.THROTTLED) {
            metrics.throttled();
        } else {
            metrics.failed(shard, thrown, retries.failures());
        }
        isRetrying = true;
        if (retries.isRefused()) {
            refusals.judge(failure, thrown, () -> loop.later(delayMs, this::subscribe));
        } else {
            loop.later(delayMs, this::subscribe);
        }
    }

    /** What one subscription says, brought into the subtask's thread. */
    private final class Events implements Subscriber<SubscribeToShardEventStream> {

        private Subscription subscription;
        private boolean isAsked;
        private boolean isCancelled;

        void ask() {
            if (subscription != null && !isAsked) {
                isAsked = true;
                asked = loop.elapsedMs();
                subscription.request(1);
            }
        }

        void cancel() {
            isCancelled = true;
            if (subscription != null) {
                subscription.cancel();
            }
        }

        @Override
        public void onSubscribe(Subscription made) {
            loop.run(() -> {
                subscription = made;
                if (isCancelled || isClosed) {
                    made.cancel();
                } else if (isWanted) {
                    ask();
                }
            });
        }

        @Override
        public void onNext(SubscribeToShardEventStream event) {
            loop.run(() -> {
                isAsked = false;
                if (event instanceof SubscribeToShardEvent records) {
                    take(this, records);
                } else {
                    ask();
                }
            });
        }

        @Override
        public void onError(Throwable failure) {
            loop.run(() -> failed(this, failure));
        }

        @Override
        public void onComplete() {
            loop.run(() -> completed(this));
        }
    }
}
