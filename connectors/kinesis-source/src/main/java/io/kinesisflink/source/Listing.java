package io.kinesisflink.source;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.Retries;
import io.kinesisflink.client.StreamId;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.SdkResponse;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.ConsumerStatus;
import software.amazon.awssdk.services.kinesis.model.DescribeStreamConsumerResponse;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;
import software.amazon.awssdk.services.kinesis.model.ResourceInUseException;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;
import software.amazon.awssdk.services.kinesis.model.ShardFilter;
import software.amazon.awssdk.services.kinesis.model.ShardFilterType;

/**
 * Lists the shards of a stream, and finds or registers the consumer that reads them. Blocks while it asks; used by one
 * thread at a time, which is not the enumerator's.
 *
 * <p>A request that fails is made again with a later listing, for ever. Where Kinesis refuses it so often that this is no
 * passing fault, the listing fails, and the job with it.
 */
final class Listing {

    /**
     * What a listing found.
     *
     * @param listedAtMs the clock when it began, in epoch milliseconds
     * @param beginning where reading begins, as far as this listing knows it
     * @param consumerArn the consumer of enhanced fan-out; null where shards are polled
     */
    record Found(long listedAtMs, ShardPosition beginning, List<ListedShard> shards, String consumerArn) {}

    private static final Logger LOG = LoggerFactory.getLogger(Listing.class);

    /** Kinesis tells its time in whole seconds; where it does not, the clocks may differ by as much. */
    private static final long SECOND_MS = 1_000;

    private final Settings settings;
    private final KinesisAsyncClient client;
    private final LongSupplier clock;
    private final Retries retries;

    private long notBefore = Long.MIN_VALUE;
    private ShardPosition beginning;
    private Long filteredFrom;
    private String consumerArn;
    private String streamArn;

    /** Takes where reading begins, null if that is LATEST and not known yet. */
    Listing(
            Settings settings,
            KinesisAsyncClient client,
            ShardPosition beginning,
            LongSupplier clock,
            DoubleSupplier random) {
        this.settings = settings;
        this.client = client;
        this.beginning = beginning;
        this.clock = clock;
        this.retries = new Retries(random);
    }

    /** All shards that are of interest; null if Kinesis is not to be asked yet, or could not say. */
    Found list() {
        long now = clock.getAsLong();
        if (now < notBefore) {
            return null;
        }
        try {
            if (settings.isFanOut() && consumerArn == null) {
                findConsumer();
            }
            if (beginning == null) {
                beginning = ShardPosition.atTime(timeOfKinesis(now));
            }
            Found found = new Found(now, beginning, listAll(now), consumerArn);
            retries.succeeded();
            return found;
        } catch (RuntimeException e) {
            return failed(e, now);
        }
    }

    private Found failed(RuntimeException thrown, long now) {
        Throwable cause = Failure.causeOf(thrown);
        notBefore = now + retries.failed(Failure.of(cause));
        if (retries.isRefused()) {
            throw new FlinkRuntimeException(
                    "Kinesis refuses to list the shards of " + settings.stream()
                            + ": see that the stream exists and that the job may read it (" + cause.getMessage() + ")",
                    cause);
        }
        LOG.warn("The shards of {} could not be listed; it is tried again", settings.stream(), cause);
        return null;
    }

    /** A first page without a filter that is cheap: its answer bears the time. */
    private long timeOfKinesis(long now) {
        ListShardsResponse answer = answer(client.listShards(ListShardsRequest.builder()
                .streamName(settings.streamName())
                .streamARN(settings.streamArn())
                .maxResults(1)
                .build()));
        return dateOf(answer, now - SECOND_MS);
    }

    private static long dateOf(SdkResponse answer, long otherwise) {
        if (answer.sdkHttpResponse() == null) {
            return otherwise;
        }
        return answer.sdkHttpResponse()
                .firstMatchingHeader("Date")
                .map(date -> epochMs(date, otherwise))
                .orElse(otherwise);
    }

    private static long epochMs(String date, long otherwise) {
        try {
            return ZonedDateTime.parse(date, DateTimeFormatter.RFC_1123_DATE_TIME)
                    .toInstant()
                    .toEpochMilli();
        } catch (DateTimeParseException e) {
            return otherwise;
        }
    }

    private List<ListedShard> listAll(long now) {
        List<ListedShard> shards = new ArrayList<>();
        ListShardsRequest request = ListShardsRequest.builder()
                .streamName(settings.streamName())
                .streamARN(settings.streamArn())
                .shardFilter(filter(now))
                .build();
        while (true) {
            ListShardsResponse page = answer(client.listShards(request));
            page.shards().forEach(shard -> shards.add(ListedShard.of(shard)));
            if (page.nextToken() == null) {
                return shards;
            }
            request = ListShardsRequest.builder().nextToken(page.nextToken()).build();
        }
    }

    /**
     * Where reading begins at a time, shards that were closed before have nothing to be read. The time is the same in
     * every listing, so that a shard does not vanish from one to the next; Kinesis takes one before its retention for that.
     */
    private ShardFilter filter(long now) {
        if (!beginning.isTime()) {
            return ShardFilter.builder().type(ShardFilterType.FROM_TRIM_HORIZON).build();
        }
        if (filteredFrom == null) {
            filteredFrom = Math.min(beginning.timeMs(), now - SECOND_MS);
        }
        return ShardFilter.builder()
                .type(ShardFilterType.FROM_TIMESTAMP)
                .timestamp(Instant.ofEpochMilli(filteredFrom))
                .build();
    }

    private void findConsumer() {
        if (StreamId.isArn(settings.consumer())) {
            consumerArn = settings.consumer();
            return;
        }
        try {
            DescribeStreamConsumerResponse found = answer(client.describeStreamConsumer(
                    request -> request.streamARN(streamArn()).consumerName(settings.consumer())));
            if (found.consumerDescription().consumerStatus() == ConsumerStatus.ACTIVE) {
                consumerArn = found.consumerDescription().consumerARN();
                return;
            }
        } catch (ResourceNotFoundException e) {
            if (!settings.registersConsumer()) {
                throw e;
            }
            register();
        }
        throw new IllegalStateException("The consumer " + settings.consumer() + " is not active yet");
    }

    private void register() {
        try {
            answer(client.registerStreamConsumer(
                    request -> request.streamARN(streamArn()).consumerName(settings.consumer())));
        } catch (ResourceInUseException e) {
            LOG.info("Somebody else has just registered the consumer {}", settings.consumer());
        }
    }

    private String streamArn() {
        if (streamArn == null) {
            streamArn = settings.isArn()
                    ? settings.stream()
                    : answer(client.describeStreamSummary(request -> request.streamName(settings.stream())))
                            .streamDescriptionSummary()
                            .streamARN();
        }
        return streamArn;
    }

    private static <R> R answer(CompletableFuture<R> asked) {
        try {
            return asked.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted while Kinesis was asked", e);
        } catch (ExecutionException e) {
            throw Failure.causeOf(e) instanceof RuntimeException cause ? cause : new IllegalStateException(e);
        }
    }
}
