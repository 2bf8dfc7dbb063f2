package io.kinesisflink.source;

import java.util.Map;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SupportsSplitReassignmentOnRecovery;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.util.UserCodeClassLoader;

/**
 * Reads a Kinesis data stream: each record once in the state of the job, and what has one partition key in its order,
 * also where shards are split and merged.
 *
 * <pre>{@code
 * KinesisSource<Event> source = KinesisSource.builder("events", new EventSchema())
 *         .region("eu-west-1")
 *         .fromLatest()
 *         .build();
 * env.fromSource(source, WatermarkStrategy.forMonotonousTimestamps(), "events").uid("events");
 * }</pre>
 *
 * <p>Each element bears the arrival of its record as its timestamp. A shard is a split, so that watermarks are made for
 * each shard, and splits can be aligned. What has ended holds the watermark until its children are being read.
 */
public final class KinesisSource<T>
        implements Source<T, ShardSplit, EnumeratorState>, SupportsSplitReassignmentOnRecovery, ResultTypeQueryable<T> {

    private static final long serialVersionUID = 1L;

    private final Settings settings;
    private final KinesisClientFactory clients;
    private final KinesisDeserializationSchema<T> schema;
    private final Machine machine;

    /**
     * What LATEST was when shards were first listed. A job that fails before its first checkpoint goes on from there,
     * unless its JobManager failed with it.
     */
    private transient volatile ShardPosition knownBeginning;

    KinesisSource(Settings settings, KinesisClientFactory clients, KinesisDeserializationSchema<T> schema) {
        this(settings, clients, schema, new Machine.Real());
    }

    private KinesisSource(
            Settings settings, KinesisClientFactory clients, KinesisDeserializationSchema<T> schema, Machine machine) {
        this.settings = settings;
        this.clients = clients;
        this.schema = schema;
        this.machine = machine;
    }

    /** This source on another machine. */
    KinesisSource<T> on(Machine other) {
        return new KinesisSource<>(settings, clients, schema, other);
    }

    /** Takes the name of a stream or its ARN, and what makes elements of its records. */
    public static <T> KinesisSourceBuilder<T> builder(String stream, KinesisDeserializationSchema<T> schema) {
        return new KinesisSourceBuilder<>(stream, schema);
    }

    /**
     * This source, but going on behind these positions, where somebody else has read the shards up to there in order. They
     * take the place of those that the builder was given; what begins at LATEST begins with the oldest record instead.
     */
    public KinesisSource<T> startingAt(Map<String, ShardPosition> positions) {
        return new KinesisSource<>(settings.startingAt(positions), clients, schema, machine);
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<ShardSplit, EnumeratorState> createEnumerator(SplitEnumeratorContext<ShardSplit> context) {
        return restoreEnumerator(context, null);
    }

    @Override
    public SplitEnumerator<ShardSplit, EnumeratorState> restoreEnumerator(
            SplitEnumeratorContext<ShardSplit> context, EnumeratorState restored) {
        Settings known = knownBeginning == null ? settings : settings.beginningAt(knownBeginning);
        return new ShardEnumerator(
                context,
                known,
                restored,
                beginning -> knownBeginning = beginning,
                clients.create(),
                machine::nowMs,
                machine::random);
    }

    @Override
    public SimpleVersionedSerializer<ShardSplit> getSplitSerializer() {
        return StateSerializers.SPLITS;
    }

    @Override
    public SimpleVersionedSerializer<EnumeratorState> getEnumeratorCheckpointSerializer() {
        return StateSerializers.ENUMERATOR;
    }

    @Override
    public SourceReader<T, ShardSplit> createReader(SourceReaderContext context) throws Exception {
        schema.open(new DeserializationSchema.InitializationContext() {
            @Override
            public MetricGroup getMetricGroup() {
                return context.metricGroup().addGroup("deserializer");
            }

            @Override
            public UserCodeClassLoader getUserCodeClassLoader() {
                return context.getUserCodeClassLoader();
            }
        });
        return new ShardReader<>(context, settings, schema, clients.create(), machine.loop());
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return schema.getProducedType();
    }
}
