package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.kinesis.shaded.org.reactivestreams.Subscriber;
import org.apache.flink.kinesis.shaded.org.reactivestreams.Subscription;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.core.async.SdkPublisher;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.Record;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponse;
import org.apache.flink.kinesis.shaded.software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;
import org.apache.flink.streaming.connectors.kinesis.proxy.KinesisProxyAsyncV2Interface;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Kinesis's side is a publisher that is told what to send, Flink's a subscriber that keeps what it gets. */
class SubscriptionsTest {

    private long now = 1_000_000;
    private final Kinesis kinesis = new Kinesis();
    private final List<String> reached = new ArrayList<>();
    private final List<SubscribeToShardEventStream> handed = new ArrayList<>();
    private final Subscriptions subscriptions =
            new Subscriptions(kinesis, (shard, time) -> reached.add(shard + " " + time), () -> now);
    private Subscription asking;

    @BeforeEach
    void subscribe() {
        subscriptions.subscribeToShard(
                SubscribeToShardRequest.builder().shardId("a").build(), new Flink());
        asking.request(1);
    }

    @Test
    void anEventWithoutRecordsThatWasWaitedForIsTheEndOfItsShard() {
        now += 5_000;
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).containsExactly("a 1005000");
        assertThat(handed).hasSize(1);
    }

    @Test
    void oneThatLayInABufferMayBeOfAnyTime() {
        now += Subscriptions.WAITED_MS - 1;
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).isEmpty();
        asking.request(1);
        now += Subscriptions.WAITED_MS;
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).hasSize(1);
    }

    @Test
    void whatIsOnItsWayIsHandedOnFirst() {
        kinesis.send(event(1, 0, "next"));
        asking.request(1);
        now += 5_000;
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).isEmpty();
        subscriptions.handedOn("a");
        asking.request(1);
        now += 5_000;
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).containsExactly("a 1010000");
    }

    @Test
    void notWhileItIsBehindAndNotAtItsEnd() {
        now += 5_000;
        kinesis.send(event(0, 1, "next"));
        kinesis.send(event(0, 0, null));
        assertThat(reached).isEmpty();
    }

    @Test
    void ofASubscriptionThatWasLeftNothingIsBelievedAndNothingWaitedFor() {
        kinesis.send(event(1, 0, "next"));
        Subscriber<? super SubscribeToShardEventStream> left = kinesis.subscriber;
        subscribe();
        now += 5_000;
        left.onNext(event(0, 0, "next"));
        assertThat(reached).isEmpty();
        kinesis.send(event(0, 0, "next"));
        assertThat(reached).hasSize(1);
    }

    @Test
    void errorsAndEndsAreHandedOn() {
        kinesis.subscriber.onComplete();
        kinesis.subscriber.onError(new IllegalStateException());
        asking.cancel();
        subscriptions.close();
        subscriptions.handedOn("unknown");
        assertThat(kinesis.all).containsExactly("completed", "failed", "cancelled", "closed");
    }

    private static SubscribeToShardEvent event(int records, long behindMs, String next) {
        List<Record> all = new ArrayList<>();
        for (int i = 0; i < records; i++) {
            all.add(Record.builder().build());
        }
        return SubscribeToShardEvent.builder()
                .records(all)
                .millisBehindLatest(behindMs)
                .continuationSequenceNumber(next)
                .build();
    }

    private static final class Kinesis implements KinesisProxyAsyncV2Interface {

        final List<String> all = new ArrayList<>();
        Subscriber<? super SubscribeToShardEventStream> subscriber;

        void send(SubscribeToShardEvent event) {
            subscriber.onNext(event);
        }

        @Override
        public CompletableFuture<Void> subscribeToShard(
                SubscribeToShardRequest request, SubscribeToShardResponseHandler handler) {
            handler.responseReceived(SubscribeToShardResponse.builder().build());
            handler.onEventStream(SdkPublisher.adapt(each -> {
                subscriber = each;
                each.onSubscribe(new Subscription() {
                    @Override
                    public void request(long events) {}

                    @Override
                    public void cancel() {
                        all.add("cancelled");
                    }
                });
            }));
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {
            all.add("closed");
        }
    }

    private final class Flink implements SubscribeToShardResponseHandler, Subscriber<SubscribeToShardEventStream> {

        @Override
        public void responseReceived(SubscribeToShardResponse response) {}

        @Override
        public void onEventStream(SdkPublisher<SubscribeToShardEventStream> events) {
            events.subscribe(this);
        }

        @Override
        public void exceptionOccurred(Throwable error) {}

        @Override
        public void complete() {}

        @Override
        public void onSubscribe(Subscription subscription) {
            asking = subscription;
        }

        @Override
        public void onNext(SubscribeToShardEventStream event) {
            handed.add(event);
        }

        @Override
        public void onError(Throwable error) {
            kinesis.all.add("failed");
        }

        @Override
        public void onComplete() {
            kinesis.all.add("completed");
        }
    }
}
