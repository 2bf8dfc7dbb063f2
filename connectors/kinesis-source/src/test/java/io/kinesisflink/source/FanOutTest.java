package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.reactivestreams.Subscriber;
import org.reactivestreams.Subscription;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.SdkPublisher;
import software.amazon.awssdk.services.kinesis.model.ConsumerDescription;
import software.amazon.awssdk.services.kinesis.model.ConsumerStatus;
import software.amazon.awssdk.services.kinesis.model.DescribeStreamConsumerRequest;
import software.amazon.awssdk.services.kinesis.model.DescribeStreamConsumerResponse;
import software.amazon.awssdk.services.kinesis.model.DescribeStreamSummaryRequest;
import software.amazon.awssdk.services.kinesis.model.DescribeStreamSummaryResponse;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.RegisterStreamConsumerRequest;
import software.amazon.awssdk.services.kinesis.model.RegisterStreamConsumerResponse;
import software.amazon.awssdk.services.kinesis.model.ResourceInUseException;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEventStream;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardRequest;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponse;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/** Enhanced fan-out; Kinesis's side of a subscription does what a test tells it to. */
class FanOutTest extends ModelTest {

    private static final String CONSUMER = "arn:aws:kinesis:eu-west-1:1:stream/s/consumer/c:1";

    private Kinesis subscribed;

    @BeforeEach
    void create() {
        subscribed = new Kinesis();
        kinesis = subscribed;
    }

    private void startWith(String consumer) {
        start(1, with -> with.fanOut(consumer).timeOfLog());
    }

    @Test
    void recordsComeOneEventAtATime() {
        startWith(CONSUMER);
        assertThat(subscribed.positions()).containsExactly("TRIM_HORIZON null");
        assertThat(subscribed.last().asked).isEqualTo(1);
        subscribed.last().send(record("7", "1"), 5, "7");
        goOn();
        subscribed.last().send(record("8", "2"), 0, "8");
        goOn();
        assertThat(emitted()).containsExactly("1", "2");
        assertThat(subscribed.last().asked).isEqualTo(3);
    }

    @Test
    void whatIsNotHandedOnHoldsKinesisBack() {
        startWith(CONSUMER);
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(A), List.of());
        subscribed.last().send(record("7", "1"), 5, "7");
        goOn(1_000);
        assertThat(subscribed.last().asked).isEqualTo(1);
        job.subtasks[0].reader.pauseOrResumeSplits(List.of(), List.of(A));
        goOn();
        assertThat(subscribed.last().asked).isEqualTo(2);
    }

    @Test
    void afterFiveMinutesItSubscribesAgainFromWhereItWas() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "9");
        goOn();
        subscribed.last().complete();
        goOn();
        assertThat(subscribed.positions()).containsExactly("TRIM_HORIZON null", "AFTER_SEQUENCE_NUMBER 9");
    }

    @Test
    void afterAnErrorItSubscribesAgainAWhileLater() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        subscribed.last().fail(new IllegalStateException("connection reset"));
        goOn();
        assertThat(subscribed.subscriptions).hasSize(1);
        goOn(1_000);
        assertThat(subscribed.positions()).endsWith("AFTER_SEQUENCE_NUMBER 7");
        subscribed.last().send(record("8", "2"), 0, "8");
        goOn();
        assertThat(emitted()).containsExactly("1", "2");
    }

    @Test
    void aSubscriptionThatIsStillInUseIsWaitedFor() {
        subscribed.refusal = ResourceInUseException.builder()
                .message("Another active subscription exists")
                .statusCode(400)
                .build();
        startWith(CONSUMER);
        goOn(60_000);
        assertThat(subscribed.refused).isBetween(5, 20);
        subscribed.refusal = null;
        goOn(11_000);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        assertThat(emitted()).containsExactly("1");
    }

    @Test
    void asFarAsItIsSubscribedALateErrorOfAnOldSubscriptionIsOfNoInterest() {
        startWith(CONSUMER);
        Sub old = subscribed.last();
        old.complete();
        goOn();
        old.fail(new IllegalStateException("late"));
        old.send(record("7", "old"), 0, "7");
        goOn(1_000);
        assertThat(subscribed.subscriptions).hasSize(2);
        assertThat(emitted()).isEmpty();
    }

    @Test
    void aSubscriptionThatFallsSilentIsLeft() {
        startWith(CONSUMER);
        goOn(FanOutFeed.SILENCE_MS + 1_000);
        assertThat(subscribed.subscriptions).hasSizeGreaterThan(1);
        assertThat(subscribed.subscriptions.get(0).isCancelled).isTrue();
    }

    /** FLINK-39540: the end of a shard, and what follows. */
    @Test
    void afterTheEndOfAShardItsChildrenAreSubscribedToOnceACheckpointCoversIt() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        kinesis.split(A);
        subscribed.last().send(List.of(), 0, null);
        subscribed.last().complete();
        goOn(2_000);
        assertThat(subscribed.subscriptions).hasSize(1);
        job.checkpoint();
        goOn(1_000);
        assertThat(subscribed.subscriptions).extracting(sub -> sub.shard).containsExactly(A, B, C);
    }

    @Test
    void afterARestoreTheRecordAtThePositionComesOnceMoreAndIsLeftOut() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        job.checkpoint();
        job.crash(1);
        goOn();
        assertThat(subscribed.positions()).endsWith("AT_SEQUENCE_NUMBER 7");
        List<Record> both = new ArrayList<>(record("7", "1"));
        both.addAll(record("8", "2"));
        subscribed.last().send(both, 0, "8");
        goOn();
        assertThat(emitted()).containsExactly("2");
        assertThat(count("positionsTrimmed")).isZero();
    }

    @Test
    void whatWasTrimmedIsCounted() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        job.checkpoint();
        job.crash(1);
        kinesis.nowMs += 200_000_000;
        goOn();
        subscribed.last().send(record("9", "3"), 0, "9");
        goOn();
        assertThat(emitted()).containsExactly("3");
        assertThat(count("positionsTrimmed")).isEqualTo(1);
    }

    @Test
    void anEventWithoutRecordsThatWasWaitedForTellsTheTime() {
        startWith(CONSUMER);
        subscribed.last().send(record("7", "1"), 0, "7");
        goOn();
        goOn(3_000);
        assertThat(job.subtasks[0].output.watermark).isLessThan(kinesis.nowMs - 3_000);
        subscribed.last().send(List.of(), 0, "7");
        goOn();
        assertThat(job.subtasks[0].output.watermark).isEqualTo(kinesis.nowMs - TimeOfLog.SLACK_MS);
    }

    @Test
    void oneThatLayReadyMayBeOlder() {
        startWith(CONSUMER);
        subscribed.last().send(List.of(), 0, "7");
        goOn();
        assertThat(job.subtasks[0].output.watermark).isEqualTo(Long.MIN_VALUE);
    }

    // The consumer

    @Test
    void aConsumerIsFoundByItsName() {
        subscribed.consumers.add("c");
        startWith("c");
        assertThat(subscribed.subscriptions).hasSize(1);
        assertThat(subscribed.registered).isZero();
    }

    /** FLINK-37908: somebody else registers it, or has just done so. */
    @Test
    void aConsumerThatIsMissingIsRegisteredAndWaitedFor() {
        subscribed.isRegisteredByOthers = true;
        startWith("c");
        assertThat(subscribed.subscriptions).isEmpty();
        goOn(11_000);
        assertThat(subscribed.subscriptions).hasSize(1);
        assertThat(subscribed.registered).isEqualTo(1);
    }

    @Test
    void withoutRegistrationAMissingConsumerFailsTheJob() {
        assertThatThrownBy(() -> {
                    start(1, with -> with.fanOut("c").withoutRegistration());
                    goOn(120_000);
                })
                .hasMessageContaining("no consumer c");
    }

    @Test
    void aConsumerThatVanishesFailsTheJobAndEndsNoShard() {
        startWith(CONSUMER);
        subscribed.refusal = ModelKinesis.notFound("Consumer not found");
        subscribed.last().fail(subscribed.refusal);
        assertThatThrownBy(() -> goOn(120_000)).hasMessageContaining("see that its consumer exists");
    }

    @Test
    void whenItIsClosedItsSubscriptionIsCancelled() {
        startWith(CONSUMER);
        job.subtasks[0].reader.close();
        assertThat(subscribed.last().isCancelled).isTrue();
        job.subtasks[0].reader = null;
    }

    private List<Record> record(String number, String data) {
        return List.of(Record.builder()
                .sequenceNumber(number)
                .partitionKey("k")
                .approximateArrivalTimestamp(Instant.ofEpochMilli(kinesis.nowMs))
                .data(SdkBytes.fromUtf8String(data))
                .build());
    }

    private static final class Sub {

        private final String shard;
        private final String position;
        private final CompletableFuture<Void> done = new CompletableFuture<>();
        private Subscriber<? super SubscribeToShardEventStream> subscriber;
        private long asked;
        private boolean isCancelled;

        private Sub(SubscribeToShardRequest request) {
            shard = request.shardId();
            position = request.startingPosition().typeAsString() + " "
                    + request.startingPosition().sequenceNumber();
        }

        private void send(List<Record> records, long behindMs, String next) {
            subscriber.onNext(SubscribeToShardEvent.builder()
                    .records(records)
                    .millisBehindLatest(behindMs)
                    .continuationSequenceNumber(next)
                    .build());
        }

        private void complete() {
            subscriber.onComplete();
            done.complete(null);
        }

        private void fail(RuntimeException failure) {
            subscriber.onError(failure);
            done.completeExceptionally(failure);
        }
    }

    private final class Kinesis extends ModelKinesis {

        private final List<Sub> subscriptions = new ArrayList<>();
        private final List<String> consumers = new ArrayList<>();
        private boolean isRegisteredByOthers;
        private int registered;
        private int refused;
        private RuntimeException refusal;

        private Kinesis() {
            super(FanOutTest.this.random, 1);
        }

        private Sub last() {
            return subscriptions.get(subscriptions.size() - 1);
        }

        private List<String> positions() {
            return subscriptions.stream().map(sub -> sub.position).toList();
        }

        @Override
        public CompletableFuture<Void> subscribeToShard(
                SubscribeToShardRequest request, SubscribeToShardResponseHandler handler) {
            assertThat(request.consumerARN()).isEqualTo(CONSUMER);
            if (refusal != null) {
                refused++;
                handler.exceptionOccurred(refusal);
                return CompletableFuture.failedFuture(refusal);
            }
            Sub sub = new Sub(request);
            subscriptions.add(sub);
            handler.responseReceived(SubscribeToShardResponse.builder().build());
            handler.onEventStream(SdkPublisher.adapt(each -> {
                sub.subscriber = each;
                each.onSubscribe(new Subscription() {
                    @Override
                    public void request(long events) {
                        sub.asked += events;
                    }

                    @Override
                    public void cancel() {
                        sub.isCancelled = true;
                    }
                });
            }));
            return sub.done;
        }

        @Override
        public CompletableFuture<DescribeStreamSummaryResponse> describeStreamSummary(
                DescribeStreamSummaryRequest request) {
            return CompletableFuture.completedFuture(DescribeStreamSummaryResponse.builder()
                    .streamDescriptionSummary(of -> of.streamARN("arn:aws:kinesis:eu-west-1:1:stream/s"))
                    .build());
        }

        @Override
        public CompletableFuture<DescribeStreamConsumerResponse> describeStreamConsumer(
                DescribeStreamConsumerRequest request) {
            if (!consumers.contains(request.consumerName())) {
                return CompletableFuture.failedFuture(notFound("There is no consumer " + request.consumerName()));
            }
            return CompletableFuture.completedFuture(DescribeStreamConsumerResponse.builder()
                    .consumerDescription(ConsumerDescription.builder()
                            .consumerARN(CONSUMER)
                            .consumerStatus(ConsumerStatus.ACTIVE)
                            .build())
                    .build());
        }

        @Override
        public CompletableFuture<RegisterStreamConsumerResponse> registerStreamConsumer(
                RegisterStreamConsumerRequest request) {
            registered++;
            consumers.add(request.consumerName());
            return isRegisteredByOthers
                    ? CompletableFuture.failedFuture(
                            ResourceInUseException.builder().statusCode(400).build())
                    : CompletableFuture.completedFuture(
                            RegisterStreamConsumerResponse.builder().build());
        }
    }
}
