package io.kinesisflink.sink;

import io.kinesisflink.source.KinesisClientFactory;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleSupplier;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Writes into a Kinesis data stream, at least once, and what has one partition key in its order.
 *
 * <pre>{@code
 * KinesisSink<Order> sink = KinesisSink.<Order>builder("orders")
 *         .partitionKey(Order::customer)
 *         .data(new OrderSchema())
 *         .region("eu-west-1")
 *         .build();
 * orders.sinkTo(sink).uid("orders");
 * }</pre>
 *
 * <p>What Kinesis does not take is sent again for ever, and it alone. What it refuses again and again fails the job. Records
 * that have not been taken are part of each checkpoint.
 */
public final class KinesisSink<T> implements Sink<T>, SupportsWriterState<T, SinkState> {

    private static final long serialVersionUID = 1L;

    private final SinkSettings settings;
    private final KinesisClientFactory clients;
    private final Entries<T> entries;

    KinesisSink(SinkSettings settings, KinesisClientFactory clients, Entries<T> entries) {
        this.settings = settings;
        this.clients = clients;
        this.entries = entries;
    }

    /** Takes the name of a stream or its ARN. */
    public static <T> KinesisSinkBuilder<T> builder(String stream) {
        return new KinesisSinkBuilder<>(stream);
    }

    @Override
    public StatefulSinkWriter<T, SinkState> createWriter(WriterInitContext context) {
        return restoreWriter(context, List.of());
    }

    @Override
    public StatefulSinkWriter<T, SinkState> restoreWriter(WriterInitContext context, Collection<SinkState> restored) {
        return writer(context, restored, () -> ThreadLocalRandom.current().nextDouble());
    }

    /** Takes a source of numbers from 0 to 1. */
    StatefulSinkWriter<T, SinkState> writer(
            WriterInitContext context, Collection<SinkState> restored, DoubleSupplier random) {
        entries.open(context.asSerializationSchemaInitializationContext());
        return new KinesisSinkWriter<>(context, settings, entries, restored, clients.create(), random);
    }

    @Override
    public SimpleVersionedSerializer<SinkState> getWriterStateSerializer() {
        return new SinkStateSerializer();
    }
}
