package io.telefold.source;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
import java.util.function.ObjLongConsumer;
import org.apache.flink.kinesis.shaded.org.reactivestreams.Subscriber;
import org.apache.flink.kinesis.shaded.org.reactivestreams.Subscription;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.core.async.SdkPublisher;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponse;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;
import org.apache.flink.streaming.connectors.kinesis.proxy.KinesisProxyAsyncV2Interface;

/**
 * Hears what enhanced fan-out says of a shard while nothing comes: every few seconds an event without records, which
 * Flink's reader drops. It says that the shard was read to its end, if all records before it were handed on, and if it
 * was waited for: one that lay in a buffer may be of any time before.
 */
final class Subscriptions implements KinesisProxyAsyncV2Interface {

    static final long WAITED_MS = 1_000;

    private final KinesisProxyAsyncV2Interface kinesis;
    private final ObjLongConsumer<String> reached;
    private final LongSupplier clock;
    private final Map<String, OneSubscription> current = new ConcurrentHashMap<>();

    /** {@code reached} is told of a shard, and of the time of {@code clock} up to which it was read. */
    Subscriptions(KinesisProxyAsyncV2Interface kinesis, ObjLongConsumer<String> reached, LongSupplier clock) {
        this.kinesis = kinesis;
        this.reached = reached;
        this.clock = clock;
    }

    /** To be called when the records of one event of a shard have been handed on. */
    void handedOn(String shard) {
        OneSubscription subscription = current.get(shard);
        if (subscription != null) {
            subscription.handedOn();
        }
    }

    /** Called by the thread that reads the shard, which has left the subscription before, and what that had read ahead. */
    @Override
    public CompletableFuture<Void> subscribeToShard(
            SubscribeToShardRequest request, SubscribeToShardResponseHandler handler) {
        OneSubscription subscription = new OneSubscription(request.shardId(), handler);
        current.put(request.shardId(), subscription);
        return kinesis.subscribeToShard(request, subscription);
    }

    @Override
    public void close() {
        kinesis.close();
    }

    /** Its events come one by one, each when it was asked for. */
    private final class OneSubscription implements SubscribeToShardResponseHandler {

        private final String shard;
        private final SubscribeToShardResponseHandler handler;
        private int waiting;
        private long askedAt;

        OneSubscription(String shard, SubscribeToShardResponseHandler handler) {
            this.shard = shard;
            this.handler = handler;
        }

        private synchronized void handedOn() {
            waiting--;
        }

        private synchronized void asked() {
            askedAt = clock.getAsLong();
        }

        private synchronized void heard(SubscribeToShardEventStream heard) {
            if (!(heard instanceof SubscribeToShardEvent)) {
                return;
            }
            SubscribeToShardEvent event = (SubscribeToShardEvent) heard;
            long now = clock.getAsLong();
            if (!event.records().isEmpty()) {
                waiting++;
            } else if (waiting == 0
                    && current.get(shard) == this
                    && event.millisBehindLatest() == 0
                    && event.continuationSequenceNumber() != null
                    && now - askedAt >= WAITED_MS) {
                reached.accept(shard, now);
            }
        }

        @Override
        public void responseReceived(SubscribeToShardResponse response) {
            handler.responseReceived(response);
        }

        @Override
        public void onEventStream(SdkPublisher<SubscribeToShardEventStream> events) {
            handler.onEventStream(SdkPublisher.adapt(subscriber -> events.subscribe(heardBefore(subscriber))));
        }

        private Subscriber<SubscribeToShardEventStream> heardBefore(
                Subscriber<? super SubscribeToShardEventStream> subscriber) {
            return new Subscriber<SubscribeToShardEventStream>() {
                @Override
                public void onSubscribe(Subscription subscription) {
                    subscriber.onSubscribe(new Subscription() {
                        @Override
                        public void request(long events) {
                            asked();
                            subscription.request(events);
                        }

                        @Override
                        public void cancel() {
                            subscription.cancel();
                        }
                    });
                }

                @Override
                public void onNext(SubscribeToShardEventStream event) {
                    heard(event);
                    subscriber.onNext(event);
                }

                @Override
                public void onError(Throwable error) {
                    subscriber.onError(error);
                }

                @Override
                public void onComplete() {
                    subscriber.onComplete();
                }
            };
        }

        @Override
        public void exceptionOccurred(Throwable error) {
            handler.exceptionOccurred(error);
        }

        @Override
        public void complete() {
            handler.complete();
        }
    }
}
