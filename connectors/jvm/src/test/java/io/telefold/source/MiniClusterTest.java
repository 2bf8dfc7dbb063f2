package io.telefold.source;

import static io.telefold.archive.Archive.event;
import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;

import io.kinesisflink.source.KinesisSource;
import io.kinesisflink.source.ModelKinesis;
import io.telefold.archive.Archive;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The source in a real job. */
@Timeout(120)
@SuppressWarnings("try") // what an iterator of Flink lets close() throw
class MiniClusterTest {

    private static final String A = "shardId-000000000000";
    private static final String B = "shardId-000000000001";

    // Clients are made by the job, and find it here.
    private static ModelKinesis kinesis;
    private static volatile boolean fails;

    @TempDir
    Path folder;

    private Archive archive;
    private StreamExecutionEnvironment env;

    @BeforeEach
    void create() throws Exception {
        kinesis = new ModelKinesis(new Random(1), 2);
        kinesis.nowMs = System.currentTimeMillis();
        archive = new Archive(folder);
        archive.write(A, "part-1", event("d", 1, T), event("e", 2, T), event("d", 3, T + 1));
        archive.write(B, "part-1", event("f", 11, T), event("f", 12, T + 4));
        env = StreamExecutionEnvironment.createLocalEnvironment(
                2,
                new Configuration()
                        .set(PipelineOptions.GENERIC_TYPES, false)
                        .set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay")
                        .set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 3)
                        .set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(50)));
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
    }

    @Test
    void aRangeIsAJobThatFinishes() throws Exception {
        List<String> read = new ArrayList<>();
        try (CloseableIterator<Event> rows =
                events(ArchiveReading.range(archive.toString(), T, T + 4, null)).executeAndCollect()) {
            rows.forEachRemaining(row -> read.add(row.sequenceNumber));
        }
        assertThat(read).containsExactly("1", "2", "3", "11");
    }

    @Test
    void theStreamFollowsTheArchiveOverAFailure() throws Exception {
        fails = true;
        List<String> inStream = new ArrayList<>();
        for (int record = 0; record < 10; record++) {
            inStream.add(kinesis.put("key" + record, "of the stream").number());
        }
        List<String> expected = new ArrayList<>(List.of("1", "2", "3", "11", "12"));
        expected.addAll(inStream);
        String last = inStream.get(5);
        List<String> read = new ArrayList<>();
        DataStream<Event> events = events(ArchiveReading.upTo(archive.toString(), Map.of(A, "3", B, "12")))
                .map(event -> failOnceAt(event, last))
                .returns(Event.type());
        try (CloseableIterator<Event> rows = events.executeAndCollect()) {
            while (read.size() < expected.size()) {
                read.add(rows.next().sequenceNumber);
            }
        }
        assertThat(read).containsExactlyInAnyOrderElementsOf(expected);
        assertThat(fails).isFalse();
    }

    private static Event failOnceAt(Event event, String sequenceNumber) {
        if (fails && event.sequenceNumber.equals(sequenceNumber)) {
            fails = false;
            throw new IllegalStateException("as asked for");
        }
        return event;
    }

    private DataStream<Event> events(ArchiveReading reading) throws Exception {
        KinesisSource<Event> stream = KinesisSource.builder("stream", Archive.decoder())
                .fromTrimHorizon()
                .timeOfLog()
                .discoveryInterval(Duration.ofMillis(50))
                .pollInterval(Duration.ofMillis(10))
                .clients(() -> kinesis)
                .build();
        return env.fromSource(
                        new EventSource(stream, Archive.decoder(), reading, true),
                        WatermarkStrategy.noWatermarks(),
                        "events")
                .uid("events");
    }
}
