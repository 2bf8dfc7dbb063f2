package io.kinesisflink.sink;

import io.kinesisflink.client.Clients;
import io.kinesisflink.source.KinesisClientFactory;
import java.net.URI;
import java.time.Duration;
import java.util.Objects;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.util.function.SerializableFunction;

/**
 * Says what a {@link KinesisSink} writes and how. Partition key and data have to be given. Without another word records keep
 * the order of their partition keys, and region, credentials, retries and proxy are as the AWS SDK finds them.
 */
public final class KinesisSinkBuilder<T> {

    private static final int LEAST_RECORD_BYTES = 1 << 20;
    private static final int MOST_RECORD_BYTES = 10 << 20;

    private final String stream;

    private SerializableFunction<? super T, String> partitionKey;
    private SerializationSchema<? super T> data;
    private boolean isOrdered = true;
    private int maxInFlightRequests = 10;
    private Duration maxTimeInBuffer = Duration.ofMillis(500);
    private int maxBufferedRecords = 10_000;
    private long maxBufferedBytes = 64 << 20;
    private int maxRecordBytes = LEAST_RECORD_BYTES;
    private String region;
    private String endpoint;
    private Clients.Keys keys;
    private boolean withoutCbor;
    private KinesisClientFactory clients;

    KinesisSinkBuilder(String stream) {
        this.stream = Objects.requireNonNull(stream, "stream");
    }

    /** The partition key of an element, of 1 to 256 characters; another one fails the job. */
    public KinesisSinkBuilder<T> partitionKey(SerializableFunction<? super T, String> partitionKey) {
        this.partitionKey = Objects.requireNonNull(partitionKey, "partitionKey");
        return this;
    }

    /** The bytes of an element's record. A schema that makes none of an element fails the job. */
    public KinesisSinkBuilder<T> data(SerializationSchema<? super T> data) {
        this.data = Objects.requireNonNull(data, "data");
        return this;
    }

    /**
     * Lets records overtake others of their partition key. Without this a request has one record of a key at most, and the
     * next one goes when that was taken: a key gets no more records into the stream than there are round trips to Kinesis.
     */
    public KinesisSinkBuilder<T> withoutOrder() {
        isOrdered = false;
        return this;
    }

    /** The most requests of a subtask that are under way at once: 10 by default. Order does not depend on it. */
    public KinesisSinkBuilder<T> maxInFlightRequests(int requests) {
        maxInFlightRequests = (int) positive(requests, "maxInFlightRequests");
        return this;
    }

    /** How long a record waits for others of its request: 500 ms by default. */
    public KinesisSinkBuilder<T> maxTimeInBuffer(Duration time) {
        if (time.toMillis() < 1) {
            throw new IllegalArgumentException("maxTimeInBuffer has to be at least a millisecond: " + time);
        }
        maxTimeInBuffer = time;
        return this;
    }

    /** With so many records that Kinesis has not taken a subtask takes no more from the job: 10 000 by default. */
    public KinesisSinkBuilder<T> maxBufferedRecords(int records) {
        maxBufferedRecords = (int) positive(records, "maxBufferedRecords");
        return this;
    }

    /**
     * With records of so many bytes that Kinesis has not taken a subtask takes no more from the job: 64 MiB by default. One
     * record may go beyond that. What is in flight is counted, too.
     */
    public KinesisSinkBuilder<T> maxBufferedBytes(long bytes) {
        maxBufferedBytes = positive(bytes, "maxBufferedBytes");
        return this;
    }

    /**
     * The most bytes of a record, data and partition key: 1 MiB by default, which every stream takes, and up to 10 MiB for
     * streams that were set to take larger ones. A larger one fails the job.
     */
    public KinesisSinkBuilder<T> maxRecordBytes(int bytes) {
        if (bytes < LEAST_RECORD_BYTES || bytes > MOST_RECORD_BYTES) {
            throw new IllegalArgumentException(
                    "maxRecordBytes has to be from " + LEAST_RECORD_BYTES + " to " + MOST_RECORD_BYTES + ": " + bytes);
        }
        maxRecordBytes = bytes;
        return this;
    }

    /** The region of the stream, where the SDK does not find the right one by itself. */
    public KinesisSinkBuilder<T> region(String region) {
        this.region = region;
        return this;
    }

    /** Another endpoint than that of the region, as {@code http://localhost:4566}. */
    public KinesisSinkBuilder<T> endpoint(String url) {
        endpoint = url;
        return this;
    }

    /**
     * Credentials for emulators, which take any: others are better found by the SDK, since these are part of the job's
     * graph.
     */
    public KinesisSinkBuilder<T> credentials(String accessKeyId, String secretAccessKey) {
        keys = new Clients.Keys(accessKeyId, secretAccessKey);
        return this;
    }

    /**
     * Speaks JSON instead of CBOR, as emulators of Kinesis do. It holds for all clients of the SDK in the process, since
     * that takes it from the system property {@code aws.cborEnabled}.
     */
    public KinesisSinkBuilder<T> withoutCbor() {
        withoutCbor = true;
        return this;
    }

    /** Makes clients by oneself; region, endpoint, credentials and CBOR are then up to them. */
    public KinesisSinkBuilder<T> clients(KinesisClientFactory clients) {
        this.clients = Objects.requireNonNull(clients, "clients");
        return this;
    }

    /** IllegalArgumentException if partition key or data were not given. */
    public KinesisSink<T> build() {
        if (partitionKey == null || data == null) {
            throw new IllegalArgumentException("A sink needs partitionKey and data");
        }
        URI url = endpoint == null ? null : URI.create(endpoint);
        return new KinesisSink<>(
                settings(),
                clients == null ? new Clients(region, url, keys, withoutCbor, false)::create : clients,
                new Entries<>(partitionKey, data, stream, maxRecordBytes));
    }

    private SinkSettings settings() {
        return new SinkSettings(
                stream,
                isOrdered,
                maxInFlightRequests,
                maxTimeInBuffer.toMillis(),
                maxBufferedRecords,
                maxBufferedBytes,
                maxRecordBytes);
    }

    private static long positive(long number, String name) {
        if (number < 1) {
            throw new IllegalArgumentException(name + " has to be positive: " + number);
        }
        return number;
    }
}
