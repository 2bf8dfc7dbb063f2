package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kinesisflink.client.Retries;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;

class ListingTest extends ModelTest {

    private Listing listing(UnaryOperator<KinesisSourceBuilder<KinesisRecord>> with) {
        Settings settings = settings(with);
        return new Listing(settings, kinesis, settings.beginning(), () -> kinesis.nowMs, random::nextDouble);
    }

    @Test
    void allPagesAreListed() {
        kinesis = new ModelKinesis(random, 7);
        kinesis.pageSize = 3;
        assertThat(listing(with -> with).list().shards()).hasSize(7);
        assertThat(requests("ListShards")).isEqualTo(3);
    }

    @Test
    void latestIsTheTimeOfKinesisAndNotOfOurClock() {
        kinesis = new ModelKinesis(random, 1) {
            @Override
            public CompletableFuture<ListShardsResponse> listShards(ListShardsRequest request) {
                return super.listShards(request).thenApply(answer -> (ListShardsResponse) answer.toBuilder()
                        .sdkHttpResponse(SdkHttpResponse.builder()
                                .statusCode(200)
                                .putHeader("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
                                .build())
                        .build());
            }
        };
        kinesis.nowMs += 86_400_000;
        assertThat(listing(with -> with.fromLatest()).list().beginning())
                .isEqualTo(ShardPosition.atTime(1_700_000_000_000L));
    }

    @Test
    void aTimeInTheFutureIsNoneToFilterBy() {
        kinesis.split(A);
        Instant tomorrow = Instant.ofEpochMilli(kinesis.nowMs + 86_400_000);
        Listing.Found found = listing(with -> with.fromTimestamp(tomorrow)).list();
        assertThat(found.beginning()).isEqualTo(ShardPosition.atTime(tomorrow.toEpochMilli()));
        assertThat(found.shards()).hasSize(3);
    }

    @Test
    void whatWasThrottledIsListedLater() {
        Listing listing = listing(with -> with);
        kinesis.throttling = 1;
        assertThat(listing.list()).isNull();
        kinesis.throttling = 0;
        assertThat(listing.list()).isNull();
        assertThat(requests("ListShards")).isEqualTo(1);
        kinesis.nowMs += 500;
        assertThat(listing.list().shards()).hasSize(1);
    }

    @Test
    void aStreamThatIsNotThereFailsTheListingAfterBeingSure() {
        Listing listing = listing(with -> with);
        kinesis.isStreamDeleted = true;
        for (int i = 1; i < Retries.REFUSALS; i++) {
            assertThat(listing.list()).isNull();
            kinesis.nowMs += 10_000;
        }
        assertThatThrownBy(listing::list).hasMessageContaining("see that the stream exists");
    }

    @Test
    void oneAnswerBetweenRefusalsMakesThemAPassingFault() {
        Listing listing = listing(with -> with);
        for (int i = 0; i < 20; i++) {
            kinesis.isStreamDeleted = i % 4 != 3;
            assertThat(listing.list() == null).isEqualTo(kinesis.isStreamDeleted);
            kinesis.nowMs += 10_000;
        }
    }
}
