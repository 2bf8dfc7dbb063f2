package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;

class KinesisSourceTest extends ModelTest {

    private static final ModelEnumeratorContext.Sent NOWHERE = new ModelEnumeratorContext.Sent() {
        @Override
        public void event(int subtask, SourceEvent event) {}

        @Override
        public void split(int subtask, ShardSplit split) {}
    };

    private KinesisSourceBuilder<KinesisRecord> builder() {
        return KinesisSource.builder("s", new AsItIs());
    }

    @Test
    void itIsSerializable() throws Exception {
        KinesisSource<KinesisRecord> source = InstantiationUtil.clone(builder()
                .fromLatest()
                .region("eu-west-1")
                .endpoint("http://localhost:4566")
                .withoutCbor()
                .build());
        assertThat(source.getBoundedness()).isEqualTo(Boundedness.CONTINUOUS_UNBOUNDED);
        assertThat(source.getProducedType().getTypeClass()).isEqualTo(KinesisRecord.class);
        InstantiationUtil.clone(
                builder().startingPositions(Map.of(A, ShardPosition.end())).build());
    }

    /** As after a failure that the JobManager survives, before there is a checkpoint. */
    @Test
    void asLongAsItLivesItKnowsWhatLatestWas() throws Exception {
        kinesis.nowMs = System.currentTimeMillis() - 60_000;
        KinesisSource<KinesisRecord> source =
                builder().fromLatest().clients(() -> kinesis).build();
        ShardPosition first = beginning(source);
        Thread.sleep(2);
        assertThat(beginning(source)).isEqualTo(first);
        assertThat(first.isTime()).isTrue();
    }

    private static ShardPosition beginning(KinesisSource<KinesisRecord> source) throws Exception {
        ModelEnumeratorContext context = new ModelEnumeratorContext(1, NOWHERE);
        try (SplitEnumerator<ShardSplit, EnumeratorState> enumerator = source.createEnumerator(context)) {
            enumerator.start();
            context.readers.put(0, ReaderInfo.createReaderInfo(0, "localhost", List.of()));
            enumerator.addReader(0);
            context.call();
            return enumerator.snapshotState(1).beginning();
        }
    }

    @Test
    void aSchemaOfFlinkTakesTheBytes() throws Exception {
        KinesisDeserializationSchema<String> schema =
                InstantiationUtil.clone(KinesisDeserializationSchema.ofData(new SimpleStringSchema()));
        List<String> made = new ArrayList<>();
        schema.deserialize(
                new KinesisRecord("s", A, "7", null, ShardPosition.oldest(), "k", null, 5, "text".getBytes()),
                new ListCollector<>(made));
        assertThat(made).containsExactly("text");
        assertThat(schema.getProducedType()).isEqualTo(Types.STRING);
    }

    @Test
    void whatDoesNotFitIsRefused() {
        assertThatThrownBy(() -> builder().maxRecords(10_001)).hasMessageContaining("maxRecords");
        assertThatThrownBy(() -> builder().bytesPerSecond(0)).hasMessageContaining("bytesPerSecond");
        assertThatThrownBy(() -> builder().pollInterval(Duration.ZERO)).hasMessageContaining("pollInterval");
        assertThatThrownBy(() -> builder().pollInterval(Duration.ofSeconds(1)).build())
                .hasMessageContaining("idleInterval");
    }

    @Test
    void withTheArnOfTheStreamTheLagIsAlsoWhereAwsHasIt() {
        job = new ModelJob(
                kinesis,
                KinesisSource.builder("arn:aws:kinesis:eu-west-1:123456789012:stream/orders", new AsItIs())
                        .settings(),
                1,
                random);
        goOn();
        assertThat(job.subtasks[0].readerContext.gauges)
                .containsKey("KinesisStreamSource.accountId.123456789012.region.eu-west-1.stream.orders.shardId." + A
                        + ".millisBehindLatest");
    }
}
