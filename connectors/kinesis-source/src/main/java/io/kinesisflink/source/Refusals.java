package io.kinesisflink.source;

import io.kinesisflink.client.Failure;
import org.apache.flink.util.FlinkRuntimeException;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;

/** Finds out what it means that Kinesis refuses to read a shard: a shard that expired, or something that fails the job. */
final class Refusals {

    private final Loop loop;
    private final KinesisAsyncClient client;
    private final Settings settings;
    private final String shard;
    private final ShardFeed.Taker taker;
    private boolean isClosed;

    Refusals(Loop loop, KinesisAsyncClient client, Settings settings, String shard, ShardFeed.Taker taker) {
        this.loop = loop;
        this.client = client;
        this.settings = settings;
        this.shard = shard;
        this.taker = taker;
    }

    void close() {
        isClosed = true;
    }

    /**
     * Tells the taker, or tries again. Kinesis says of an expired shard what it says of a stream or a consumer that is not
     * there, but it does not list it any more.
     */
    void judge(Failure failure, Throwable thrown, Runnable again) {
        if (failure == Failure.NOT_FOUND) {
            ListShardsRequest first = ListShardsRequest.builder()
                    .streamName(settings.streamName())
                    .streamARN(settings.streamArn())
                    .build();
            look(first, thrown, again);
        } else {
            fail(
                    "Kinesis refuses to read shard " + shard + " of " + settings.stream()
                            + ": see that the job may read it",
                    thrown);
        }
    }

    private void look(ListShardsRequest request, Throwable thrown, Runnable again) {
        Answers.to(
                loop,
                () -> client.listShards(request),
                page -> seen(page, thrown, again),
                failed -> unseen(failed, again));
    }

    private void seen(ListShardsResponse page, Throwable thrown, Runnable again) {
        if (isClosed) {
            return;
        }
        if (page.shards().stream().anyMatch(listed -> listed.shardId().equals(shard))) {
            fail(
                    "Kinesis lists shard " + shard + " of " + settings.stream()
                            + ", but does not find what is to be read there"
                            + (settings.isFanOut() ? ": see that its consumer exists" : ""),
                    thrown);
        } else if (page.nextToken() != null) {
            look(ListShardsRequest.builder().nextToken(page.nextToken()).build(), thrown, again);
        } else {
            taker.expired();
        }
    }

    private void unseen(Throwable thrown, Runnable again) {
        if (isClosed) {
            return;
        }
        if (Failure.of(thrown).isRefusal()) {
            fail(
                    "Kinesis neither reads nor lists shard " + shard + " of " + settings.stream()
                            + ": the stream does not exist, or not any more, or the job may not list its shards",
                    thrown);
        } else {
            again.run();
        }
    }

    private void fail(String sentence, Throwable thrown) {
        Throwable cause = Failure.causeOf(thrown);
        taker.failed(new FlinkRuntimeException(sentence + " (" + cause.getMessage() + ")", cause));
    }
}
