package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsResultEntry;

/** The sink in a real job that fails. */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class SinkMiniClusterTest {

    @RegisterExtension
    static final MiniClusterExtension CLUSTER = new MiniClusterExtension(new MiniClusterResourceConfiguration.Builder()
            .setNumberTaskManagers(1)
            .setNumberSlotsPerTaskManager(2)
            .build());

    private static final int ELEMENTS = 400;

    // Clients and functions are made by the job, and find what they share here.
    private static final Set<String> TAKEN = ConcurrentHashMap.newKeySet();
    private static final AtomicInteger CHECKPOINTS = new AtomicInteger();
    private static final AtomicInteger FAILURES = new AtomicInteger();
    private static final AtomicInteger CREATED = new AtomicInteger();
    private static final AtomicInteger CLOSED = new AtomicInteger();

    /**
     * Until the job fails Kinesis takes no record with an odd number. Those that came before the checkpoint are in the
     * sink's state and nowhere else.
     */
    @Test
    void aRestartLosesNothing() throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("restart-strategy.type", "fixed-delay");
        configuration.setString("restart-strategy.fixed-delay.attempts", "3");
        configuration.setString("restart-strategy.fixed-delay.delay", "10 ms");
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setParallelism(2);
        env.enableCheckpointing(50);
        env.fromSequence(0, ELEMENTS - 1)
                .map(new FailsOnce())
                .sinkTo(KinesisSink.<Long>builder("s")
                        .partitionKey(number -> "k" + number % 50)
                        .data(number -> number.toString().getBytes(StandardCharsets.UTF_8))
                        .maxTimeInBuffer(Duration.ofMillis(10))
                        .clients(Client::new)
                        .build())
                .uid("sink");
        env.execute();
        assertThat(FAILURES.get()).isEqualTo(1);
        assertThat(TAKEN)
                .isEqualTo(
                        LongStream.range(0, ELEMENTS).mapToObj(Long::toString).collect(Collectors.toSet()));
        // The other subtask went on.
        assertThat(CREATED.get()).isEqualTo(2 + 1);
        assertThat(CLOSED.get()).isEqualTo(2 + 1);
    }

    private static final class FailsOnce implements MapFunction<Long, Long>, CheckpointListener {

        private static final long serialVersionUID = 1L;
        private static final int LEAST_CHECKPOINTS = 2;

        @Override
        public Long map(Long number) throws InterruptedException {
            if (FAILURES.get() == 0) {
                if (CHECKPOINTS.get() >= LEAST_CHECKPOINTS && FAILURES.compareAndSet(0, 1)) {
                    throw new IllegalStateException("as told to");
                }
                Thread.sleep(10); // so that checkpoints come before the end
            }
            return number;
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            CHECKPOINTS.incrementAndGet();
        }
    }

    private static final class Client implements KinesisAsyncClient {

        Client() {
            CREATED.incrementAndGet();
        }

        @Override
        public CompletableFuture<PutRecordsResponse> putRecords(PutRecordsRequest request) {
            return CompletableFuture.supplyAsync(() -> PutRecordsResponse.builder()
                    .records(request.records().stream().map(Client::result).toList())
                    .build());
        }

        private static PutRecordsResultEntry result(PutRecordsRequestEntry record) {
            String number = new String(record.data().asByteArrayUnsafe(), StandardCharsets.UTF_8);
            if (FAILURES.get() == 0 && Long.parseLong(number) % 2 == 1) {
                return PutRecordsResultEntry.builder()
                        .errorCode(ModelStream.THROTTLED)
                        .errorMessage("Rate exceeded")
                        .build();
            }
            TAKEN.add(number);
            return PutRecordsResultEntry.builder().sequenceNumber("1").build();
        }

        @Override
        public String serviceName() {
            return "kinesis";
        }

        @Override
        public void close() {
            CLOSED.incrementAndGet();
        }
    }
}
