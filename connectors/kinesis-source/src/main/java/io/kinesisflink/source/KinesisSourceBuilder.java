package io.kinesisflink.source;

import io.kinesisflink.client.Clients;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Says what a {@link KinesisSource} reads and how. Without a word of it a stream is read from its oldest record, by
 * polling, by a job that takes checkpoints, with region, credentials, retries and proxy as the AWS SDK finds them.
 */
public final class KinesisSourceBuilder<T> {

    private static final int MOST_RECORDS = 10_000;

    private final String stream;
    private final KinesisDeserializationSchema<T> schema;

    private ShardPosition beginning = ShardPosition.oldest();
    private Map<String, ShardPosition> given = Map.of();
    private String consumer;
    private boolean registersConsumer = true;
    private boolean hasCheckpoints = true;
    private boolean emitsTimeOfLog;
    private ShardAssigner assigner = ShardAssigner.BY_HASH;
    private Duration discoveryInterval = Duration.ofSeconds(1);
    private Duration pollInterval = Duration.ofMillis(200);
    private Duration idleInterval = Duration.ofMillis(500);
    private int maxRecords = MOST_RECORDS;
    private long bytesPerSecond = 2_000_000;
    private Duration retention = Duration.ofDays(1);
    private String region;
    private String endpoint;
    private Clients.Keys keys;
    private boolean withoutCbor;
    private KinesisClientFactory clients;

    KinesisSourceBuilder(String stream, KinesisDeserializationSchema<T> schema) {
        this.stream = Objects.requireNonNull(stream, "stream");
        this.schema = Objects.requireNonNull(schema, "schema");
    }

    /** Begins with the oldest record of each shard, as is the default. */
    public KinesisSourceBuilder<T> fromTrimHorizon() {
        beginning = ShardPosition.oldest();
        return this;
    }

    /**
     * Begins with what arrives from now on. Now is the time of Kinesis when the job first lists shards, in whole seconds: up
     * to a second of what came before is read, too. From then on it is a time like that of {@link #fromTimestamp}.
     */
    public KinesisSourceBuilder<T> fromLatest() {
        beginning = null;
        return this;
    }

    /** Begins with what arrived at this time or later. All shards that have such records are read at once. */
    public KinesisSourceBuilder<T> fromTimestamp(Instant time) {
        beginning = ShardPosition.atTime(time.toEpochMilli());
        return this;
    }

    /**
     * Goes on behind these positions where somebody else has read the shards up to there, in order. Shards that are not
     * named begin as the others say, once their parents have ended. A shard that a restored checkpoint has read from goes on
     * from there. Not to be had with {@link #fromLatest}, which would leave out what came between.
     */
    public KinesisSourceBuilder<T> startingPositions(Map<String, ShardPosition> positions) {
        given = new LinkedHashMap<>(positions);
        return this;
    }

    /**
     * Reads with enhanced fan-out, by the consumer with this name or ARN. A consumer with a name is registered if the stream
     * does not have it; nothing deregisters it.
     */
    public KinesisSourceBuilder<T> fanOut(String consumerNameOrArn) {
        consumer = Objects.requireNonNull(consumerNameOrArn, "consumerNameOrArn");
        return this;
    }

    /** Fails where the consumer of enhanced fan-out is not there, instead of registering it. */
    public KinesisSourceBuilder<T> withoutRegistration() {
        registersConsumer = false;
        return this;
    }

    /**
     * Has a shard read as soon as its parents have been, in a job that takes no checkpoints, where it would wait for one for
     * ever.
     */
    public KinesisSourceBuilder<T> withoutCheckpoints() {
        hasCheckpoints = false;
        return this;
    }

    /**
     * Has the source itself emit watermarks: up to which arrival all shards of a subtask have been read, less a second. To
     * be used with {@code WatermarkStrategy.noWatermarks()}.
     */
    public KinesisSourceBuilder<T> timeOfLog() {
        emitsTimeOfLog = true;
        return this;
    }

    /** Which subtask reads which shard; by default {@link ShardAssigner#BY_HASH}. */
    public KinesisSourceBuilder<T> assigner(ShardAssigner assigner) {
        this.assigner = Objects.requireNonNull(assigner, "assigner");
        return this;
    }

    /** How often shards are listed: 1 s by default. Watermarks of {@link #timeOfLog} are behind by up to that. */
    public KinesisSourceBuilder<T> discoveryInterval(Duration interval) {
        discoveryInterval = positive(interval, "discoveryInterval");
        return this;
    }

    /** The least time between two requests for records of a shard: 200 ms by default, since Kinesis takes five a second. */
    public KinesisSourceBuilder<T> pollInterval(Duration interval) {
        pollInterval = positive(interval, "pollInterval");
        return this;
    }

    /** The greatest such time, which a shard comes to that has nothing new: 500 ms by default. */
    public KinesisSourceBuilder<T> idleInterval(Duration interval) {
        idleInterval = positive(interval, "idleInterval");
        return this;
    }

    /** The most records of one request: 10 000 by default and at most. Two batches of each shard may be in memory. */
    public KinesisSourceBuilder<T> maxRecords(int records) {
        if (records < 1 || records > MOST_RECORDS) {
            throw new IllegalArgumentException("maxRecords has to be from 1 to " + MOST_RECORDS + ": " + records);
        }
        maxRecords = records;
        return this;
    }

    /** How many bytes of a shard are read in a second: 2 000 000 by default, which is all that Kinesis gives. */
    public KinesisSourceBuilder<T> bytesPerSecond(long bytes) {
        if (bytes < 1) {
            throw new IllegalArgumentException("bytesPerSecond has to be positive: " + bytes);
        }
        bytesPerSecond = bytes;
        return this;
    }

    /**
     * The least time for which the stream keeps records: a day by default, as no stream keeps them for less. Where a
     * position is gone, it decides whether records may be lost with it.
     */
    public KinesisSourceBuilder<T> retention(Duration retention) {
        this.retention = positive(retention, "retention");
        return this;
    }

    /** The region of the stream, where the SDK does not find the right one by itself. */
    public KinesisSourceBuilder<T> region(String region) {
        this.region = region;
        return this;
    }

    /** Another endpoint than that of the region, as {@code http://localhost:4566}. */
    public KinesisSourceBuilder<T> endpoint(String url) {
        endpoint = url;
        return this;
    }

    /**
     * Credentials for emulators, which take any: others are better found by the SDK, since these are part of the job's
     * graph.
     */
    public KinesisSourceBuilder<T> credentials(String accessKeyId, String secretAccessKey) {
        keys = new Clients.Keys(accessKeyId, secretAccessKey);
        return this;
    }

    /**
     * Speaks JSON instead of CBOR, as emulators of Kinesis do. It holds for all clients of the SDK in the process, since
     * that takes it from the system property {@code aws.cborEnabled}.
     */
    public KinesisSourceBuilder<T> withoutCbor() {
        withoutCbor = true;
        return this;
    }

    /** Makes clients by oneself; region, endpoint, credentials and CBOR are then up to them. */
    public KinesisSourceBuilder<T> clients(KinesisClientFactory clients) {
        this.clients = Objects.requireNonNull(clients, "clients");
        return this;
    }

    /** IllegalArgumentException if what was said does not fit together. */
    public KinesisSource<T> build() {
        if (beginning == null && !given.isEmpty()) {
            throw new IllegalArgumentException(
                    "Starting positions go with fromTrimHorizon or fromTimestamp: LATEST would"
                            + " leave out what arrived in other shards since those positions");
        }
        if (idleInterval.compareTo(pollInterval) < 0) {
            throw new IllegalArgumentException(
                    "idleInterval " + idleInterval + " is less than pollInterval " + pollInterval);
        }
        return new KinesisSource<>(
                settings(),
                clients == null
                        ? new Clients(region, uri(endpoint), keys, withoutCbor, consumer != null)::create
                        : clients,
                schema);
    }

    Settings settings() {
        return new Settings(
                stream,
                beginning,
                given,
                consumer,
                registersConsumer,
                hasCheckpoints,
                emitsTimeOfLog,
                assigner,
                discoveryInterval.toMillis(),
                pollInterval.toMillis(),
                idleInterval.toMillis(),
                maxRecords,
                bytesPerSecond,
                retention.toMillis());
    }

    private static URI uri(String endpoint) {
        return endpoint == null ? null : URI.create(endpoint);
    }

    private static Duration positive(Duration duration, String name) {
        if (duration.toMillis() < 1) {
            throw new IllegalArgumentException(name + " has to be at least a millisecond: " + duration);
        }
        return duration;
    }
}
