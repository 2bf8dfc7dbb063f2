package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.apache.flink.util.Collector;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import software.amazon.awssdk.services.kinesis.model.GetRecordsRequest;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;

/** The source in a real job: failures, a split, and another parallelism behind a savepoint. */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class MiniClusterTest {

    @RegisterExtension
    static final MiniClusterExtension CLUSTER = new MiniClusterExtension(new MiniClusterResourceConfiguration.Builder()
            .setNumberTaskManagers(1)
            .setNumberSlotsPerTaskManager(4)
            .build());

    private static final int KEYS = 10;

    // Clients and functions are made by the job, and find what they share here.
    private static ModelKinesis kinesis;
    private static final AtomicInteger FAILURES = new AtomicInteger();
    private static final AtomicInteger NEXT_TO_FAIL = new AtomicInteger();
    private static final Set<String> SEEN = Collections.synchronizedSet(new HashSet<>());
    private static final Set<String> WRONG = Collections.synchronizedSet(new HashSet<>());
    private static final AtomicLong WATERMARK = new AtomicLong();
    private static final AtomicInteger STARTED = new AtomicInteger();

    @TempDir
    Path savepoints;

    private int produced;

    @BeforeEach
    void create() {
        kinesis = new ModelKinesis(new Random(1), 2) {
            @Override
            public CompletableFuture<GetRecordsResponse> getRecords(GetRecordsRequest request) {
                nowMs = System.currentTimeMillis();
                return super.getRecords(request);
            }

            @Override
            public CompletableFuture<ListShardsResponse> listShards(ListShardsRequest request) {
                nowMs = System.currentTimeMillis();
                return super.listShards(request);
            }
        };
        kinesis.nowMs = System.currentTimeMillis();
        FAILURES.set(0);
        SEEN.clear();
        WRONG.clear();
        WATERMARK.set(Long.MIN_VALUE);
        STARTED.set(0);
    }

    @Test
    void eachRecordOnceInOrderOverFailuresASplitAndAnotherParallelism() throws Exception {
        produce(50);
        JobClient job = start(2, null);
        awaitSeen();
        NEXT_TO_FAIL.set(1);
        produce(20);
        awaitSeen();
        kinesis.split("shardId-000000000000");
        produce(20);
        awaitSeen();
        String savepoint = job.stopWithSavepoint(false, savepoints.toString(), SavepointFormatType.CANONICAL)
                .get();
        kinesis.merge("shardId-000000000002");
        produce(20);
        job = start(3, savepoint);
        awaitSeen();
        NEXT_TO_FAIL.set(1);
        produce(20);
        awaitSeen();
        long now = System.currentTimeMillis();
        while (WATERMARK.get() < now) {
            Thread.sleep(20);
        }
        job.cancel().get();
        assertThat(FAILURES.get()).isEqualTo(2);
        assertThat(WRONG).isEmpty();
    }

    private void produce(int records) {
        for (int i = 0; i < records; i++, produced++) {
            kinesis.put("key" + produced % KEYS, produced % KEYS + "-" + produced / KEYS);
        }
    }

    private void awaitSeen() throws InterruptedException {
        while (SEEN.size() < produced) {
            assertThat(WRONG).isEmpty();
            Thread.sleep(20);
        }
    }

    private static Configuration restarting() {
        Configuration configuration = new Configuration();
        configuration.setString("restart-strategy.type", "fixed-delay");
        configuration.setString("restart-strategy.fixed-delay.attempts", "10");
        configuration.setString("restart-strategy.fixed-delay.delay", "10 ms");
        return configuration;
    }

    private static JobClient start(int parallelism, String savepoint) throws Exception {
        Configuration configuration = restarting();
        if (savepoint != null) {
            configuration.setString("execution.state-recovery.path", savepoint);
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setParallelism(parallelism);
        env.enableCheckpointing(100);
        env.getConfig().setAutoWatermarkInterval(50);
        KinesisSource<String> source = KinesisSource.builder("s", new Texts())
                .clients(() -> kinesis)
                .discoveryInterval(Duration.ofMillis(100))
                .timeOfLog()
                .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "source")
                .uid("source")
                .transform("statuses", Types.STRING, new Statuses())
                .keyBy(text -> text.substring(0, text.indexOf('-')))
                .process(new InOrder())
                .uid("order")
                .sinkTo(new DiscardingSink<>());
        return env.executeAsync();
    }

    private static final class Texts implements KinesisDeserializationSchema<String> {

        private static final long serialVersionUID = 1L;

        @Override
        public void deserialize(KinesisRecord record, Collector<String> out) {
            out.collect(new String(record.data(), StandardCharsets.UTF_8));
        }

        @Override
        public TypeInformation<String> getProducedType() {
            return Types.STRING;
        }
    }

    /** No subtask may be idle, also one that has no shards. */
    private static final class Statuses extends AbstractStreamOperator<String>
            implements OneInputStreamOperator<String, String> {

        private static final long serialVersionUID = 1L;

        @Override
        public void processElement(StreamRecord<String> element) {
            output.collect(element);
        }

        @Override
        public void processWatermarkStatus(WatermarkStatus status) throws Exception {
            if (status.isIdle()) {
                WRONG.add("idle");
            }
            super.processWatermarkStatus(status);
        }
    }

    /** Each key's records have to be 0, 1, 2 and so on, over all failures. */
    private static final class InOrder extends KeyedProcessFunction<String, String, String> {

        private static final long serialVersionUID = 1L;

        private transient ValueState<Integer> next;

        @Override
        public void open(OpenContext context) {
            next = getRuntimeContext().getState(new ValueStateDescriptor<>("next", Types.INT));
        }

        @Override
        public void processElement(String text, Context context, Collector<String> out) throws Exception {
            int expected = next.value() == null ? 0 : next.value();
            if (!text.equals(context.getCurrentKey() + "-" + expected)) {
                WRONG.add(text + " instead of " + expected);
            }
            next.update(expected + 1);
            context.timerService().registerEventTimeTimer(context.timestamp() + 1);
            if (NEXT_TO_FAIL.compareAndSet(1, 0)) {
                FAILURES.incrementAndGet();
                throw new IllegalStateException("as told to");
            }
            SEEN.add(text);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<String> out) {
            WATERMARK.accumulateAndGet(context.timerService().currentWatermark(), Math::max);
            context.timerService().registerEventTimeTimer(context.timerService().currentWatermark() + 100);
        }
    }

    @Test
    void aWatermarkStrategyWorksPerShard() throws Exception {
        produce(20);
        Configuration configuration = new Configuration();
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(configuration);
        env.setParallelism(1);
        env.enableCheckpointing(100);
        KinesisSource<String> source = KinesisSource.builder("s", new Texts())
                .clients(() -> kinesis)
                .discoveryInterval(Duration.ofMillis(100))
                .build();
        env.fromSource(
                        source,
                        WatermarkStrategy.<String>forMonotonousTimestamps()
                                .withWatermarkAlignment("group", Duration.ofMillis(10), Duration.ofMillis(50)),
                        "source")
                .keyBy(text -> text.substring(0, text.indexOf('-')))
                .process(new InOrder())
                .sinkTo(new DiscardingSink<>());
        JobClient job = env.executeAsync();
        awaitSeen();
        for (int i = 0; i < 10; i++) {
            Thread.sleep(30);
            kinesis.nowMs = System.currentTimeMillis();
            produce(20);
        }
        awaitSeen();
        long last = kinesis.puts.get(0).arrivalMs();
        while (WATERMARK.get() < last) {
            Thread.sleep(20);
        }
        job.cancel().get();
        assertThat(WRONG).isEmpty();
        assertThat(List.copyOf(SEEN)).hasSize(produced);
    }

    /** Where records stay in their subtasks, one that fails is restored without the others. */
    @Test
    void oneSubtaskIsRestoredAlone() throws Exception {
        produce(30);
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(restarting());
        env.setParallelism(2);
        env.enableCheckpointing(100);
        KinesisSource<String> source = KinesisSource.builder("s", new Texts())
                .clients(() -> kinesis)
                .discoveryInterval(Duration.ofMillis(100))
                .build();
        env.fromSource(source, WatermarkStrategy.noWatermarks(), "source")
                .map(new Once())
                .sinkTo(new DiscardingSink<>());
        JobClient job = env.executeAsync();
        awaitSeen();
        NEXT_TO_FAIL.set(1);
        produce(30);
        awaitSeen();
        kinesis.split("shardId-000000000000");
        produce(30);
        awaitSeen();
        NEXT_TO_FAIL.set(1);
        produce(30);
        awaitSeen();
        job.cancel().get();
        assertThat(FAILURES.get()).isEqualTo(2);
        assertThat(STARTED.get()).isEqualTo(2 + 2);
        assertThat(WRONG).isEmpty();
    }

    /** Each record has to come once to the state of its subtask. */
    private static final class Once extends RichMapFunction<String, String> implements CheckpointedFunction {

        private static final long serialVersionUID = 1L;

        private transient ListState<String> state;
        private transient Set<String> seen;

        @Override
        public void initializeState(FunctionInitializationContext context) throws Exception {
            STARTED.incrementAndGet();
            state = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("seen", Types.STRING));
            seen = new HashSet<>();
            state.get().forEach(seen::add);
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            state.update(List.copyOf(seen));
        }

        @Override
        public String map(String text) {
            if (!seen.add(text)) {
                WRONG.add(text + " again");
            }
            if (NEXT_TO_FAIL.compareAndSet(1, 0)) {
                FAILURES.incrementAndGet();
                throw new IllegalStateException("as told to");
            }
            SEEN.add(text);
            return text;
        }
    }
}
