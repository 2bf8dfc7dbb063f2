package io.telefold.event;

import io.telefold.Texts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/**
 * {@link Event}s on their way from the task that reads to the one that folds: as UTF-8, which Java copies where Flink's own
 * serialiser goes through every character, and with the texts and attributes that many events share made once: attributes
 * are not to be changed.
 *
 * <p>Metrics and attributes keep their order. The bytes are also those that a checkpoint may hold of events on their way.
 */
public final class EventSerializer extends TypeSerializer<Event> {

    private static final long serialVersionUID = 1L;

    // A bit for each field that is there.
    private static final int EVENT_ID = 1;
    private static final int DEVICE_ID = 1 << 1;
    private static final int TYPE = 1 << 2;
    private static final int EVENT_TIME = 1 << 3;
    private static final int SEQUENCE = 1 << 4;
    private static final int METRICS = 1 << 5;
    private static final int ATTRIBUTES = 1 << 6;
    private static final int CORRELATION_ID = 1 << 7;
    private static final int PARTITION_KEY = 1 << 8;
    private static final int SHARD = 1 << 9;
    private static final int SEQUENCE_NUMBER = 1 << 10;
    private static final int ARRIVAL = 1 << 11;
    private static final int PAYLOAD = 1 << 12;
    private static final int REASON = 1 << 13;
    private static final int DETAIL = 1 << 14;
    private static final int CORRECTS = 1 << 15;
    private static final int SUB_SEQUENCE_NUMBER = 1 << 16;
    private static final int PREVIOUS = 1 << 17;
    private static final int INCREASES = 1 << 18;
    private static final int KEY_IS_THE_DEVICE = 1 << 19;

    private transient Shared<String> texts;
    private transient Shared<Map<String, String>> attributes;
    private transient DataOutputSerializer packed;

    @Override
    public void serialize(Event event, DataOutputView out) throws IOException {
        int fields = fieldsOf(event);
        out.writeInt(fields);
        if (isIn(fields, EVENT_TIME)) {
            out.writeLong(event.eventTime);
            out.writeLong(event.sequence);
        }
        out.writeLong(event.arrival);
        if (event.subSequenceNumber != null) {
            out.writeLong(event.subSequenceNumber);
        }
        writeText(event.eventId, out);
        writeText(event.deviceId, out);
        writeText(event.correlationId, out);
        writeText(event.sequenceNumber, out);
        writeText(event.detail, out);
        writeText(event.corrects, out);
        writeText(event.previous, out);
        writeText(event.type, out);
        writeText(event.shard, out);
        writeText(event.reason, out);
        if (!isIn(fields, KEY_IS_THE_DEVICE)) {
            writeText(event.partitionKey, out);
        }
        writeMetrics(event.metrics, out);
        writeAttributes(event.attributes, out);
        if (event.payload != null) {
            Texts.writeBytes(event.payload, out);
        }
        if (event.increases != null) {
            Texts.writeLength(event.increases.length, out);
            for (double increase : event.increases) {
                out.writeDouble(increase);
            }
        }
    }

    @Override
    public Event deserialize(DataInputView in) throws IOException {
        if (texts == null) {
            texts = new Shared<>(bytes -> new String(bytes, StandardCharsets.UTF_8));
            attributes = new Shared<>(bytes -> readAttributes(new DataInputDeserializer(bytes)));
        }
        Event event = new Event();
        int fields = in.readInt();
        event.eventTime = isIn(fields, EVENT_TIME) ? in.readLong() : 0;
        event.sequence = isIn(fields, SEQUENCE) ? in.readLong() : 0;
        event.arrival = isIn(fields, ARRIVAL) ? in.readLong() : 0;
        event.subSequenceNumber = isIn(fields, SUB_SEQUENCE_NUMBER) ? (Long) in.readLong() : null;
        event.eventId = isIn(fields, EVENT_ID) ? Texts.read(in) : null;
        event.deviceId = isIn(fields, DEVICE_ID) ? Texts.read(in) : null;
        event.correlationId = isIn(fields, CORRELATION_ID) ? Texts.read(in) : null;
        event.sequenceNumber = isIn(fields, SEQUENCE_NUMBER) ? Texts.read(in) : null;
        event.detail = isIn(fields, DETAIL) ? Texts.read(in) : null;
        event.corrects = isIn(fields, CORRECTS) ? Texts.read(in) : null;
        event.previous = isIn(fields, PREVIOUS) ? Texts.read(in) : null;
        event.type = isIn(fields, TYPE) ? texts.read(in) : null;
        event.shard = isIn(fields, SHARD) ? texts.read(in) : null;
        event.reason = isIn(fields, REASON) ? texts.read(in) : null;
        if (isIn(fields, KEY_IS_THE_DEVICE)) {
            event.partitionKey = event.deviceId;
        } else if (isIn(fields, PARTITION_KEY)) {
            event.partitionKey = Texts.read(in);
        }
        event.metrics = isIn(fields, METRICS) ? readMetrics(in) : null;
        event.attributes = isIn(fields, ATTRIBUTES) ? attributes.read(in) : null;
        event.payload = isIn(fields, PAYLOAD) ? Texts.readBytes(in) : null;
        event.increases = isIn(fields, INCREASES) ? readIncreases(in) : null;
        return event;
    }

    private static int fieldsOf(Event event) {
        boolean isKeyTheDevice = event.partitionKey != null && event.partitionKey.equals(event.deviceId);
        return (event.eventId != null ? EVENT_ID | EVENT_TIME | SEQUENCE : 0)
                | (event.deviceId != null ? DEVICE_ID : 0)
                | (event.type != null ? TYPE : 0)
                | (event.metrics != null ? METRICS : 0)
                | (event.attributes != null ? ATTRIBUTES : 0)
                | (event.correlationId != null ? CORRELATION_ID : 0)
                | (event.partitionKey != null ? PARTITION_KEY : 0)
                | (event.shard != null ? SHARD : 0)
                | (event.sequenceNumber != null ? SEQUENCE_NUMBER : 0)
                | ARRIVAL
                | (event.payload != null ? PAYLOAD : 0)
                | (event.reason != null ? REASON : 0)
                | (event.detail != null ? DETAIL : 0)
                | (event.corrects != null ? CORRECTS : 0)
                | (event.subSequenceNumber != null ? SUB_SEQUENCE_NUMBER : 0)
                | (event.previous != null ? PREVIOUS : 0)
                | (event.increases != null ? INCREASES : 0)
                | (isKeyTheDevice ? KEY_IS_THE_DEVICE : 0);
    }

    private static boolean isIn(int fields, int field) {
        return (fields & field) != 0;
    }

    private static void writeText(String text, DataOutputView out) throws IOException {
        if (text != null) {
            Texts.write(text, out);
        }
    }

    private static void writeMetrics(Map<String, Double> metrics, DataOutputView out) throws IOException {
        if (metrics != null) {
            Texts.writeLength(metrics.size(), out);
            for (Map.Entry<String, Double> metric : metrics.entrySet()) {
                Texts.write(metric.getKey(), out);
                out.writeDouble(metric.getValue());
            }
        }
    }

    private static double[] readIncreases(DataInputView in) throws IOException {
        double[] increases = new double[Texts.readLength(in)];
        for (int metric = 0; metric < increases.length; metric++) {
            increases[metric] = in.readDouble();
        }
        return increases;
    }

    private Map<String, Double> readMetrics(DataInputView in) throws IOException {
        int left = Texts.readLength(in);
        Map<String, Double> metrics = new LinkedHashMap<>(capacity(left));
        for (; left > 0; left--) {
            metrics.put(texts.read(in), in.readDouble());
        }
        return metrics;
    }

    /** With the number of bytes in front, so that they can be compared before they are read. */
    private void writeAttributes(Map<String, String> attributes, DataOutputView out) throws IOException {
        if (attributes != null) {
            if (packed == null) {
                packed = new DataOutputSerializer(128);
            }
            packed.clear();
            Texts.writeLength(attributes.size(), packed);
            for (Map.Entry<String, String> attribute : attributes.entrySet()) {
                Texts.write(attribute.getKey(), packed);
                Texts.write(attribute.getValue(), packed);
            }
            Texts.writeLength(packed.length(), out);
            out.write(packed.getSharedBuffer(), 0, packed.length());
        }
    }

    private static Map<String, String> readAttributes(DataInputView in) {
        try {
            int left = Texts.readLength(in);
            Map<String, String> attributes = new LinkedHashMap<>(capacity(left));
            for (; left > 0; left--) {
                attributes.put(Texts.read(in), Texts.read(in));
            }
            return Collections.unmodifiableMap(attributes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static int capacity(int entries) {
        return entries * 4 / 3 + 1;
    }

    @Override
    public Event copy(Event from) {
        Event copy = Event.copyOf(from);
        copy.metrics = from.metrics == null ? null : new LinkedHashMap<>(from.metrics);
        copy.attributes = from.attributes == null ? null : new LinkedHashMap<>(from.attributes);
        copy.payload = from.payload == null ? null : from.payload.clone();
        copy.increases = from.increases == null ? null : from.increases.clone();
        return copy;
    }

    @Override
    public Event copy(Event from, Event reuse) {
        return copy(from);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        serialize(deserialize(in), out);
    }

    @Override
    public Event deserialize(Event reuse, DataInputView in) throws IOException {
        return deserialize(in);
    }

    @Override
    public Event createInstance() {
        return new Event();
    }

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public int getLength() {
        return -1;
    }

    /** Each shares among its own events only. */
    @Override
    public TypeSerializer<Event> duplicate() {
        return new EventSerializer();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EventSerializer;
    }

    @Override
    public int hashCode() {
        return EventSerializer.class.hashCode();
    }

    @Override
    public TypeSerializerSnapshot<Event> snapshotConfiguration() {
        return new Snapshot();
    }

    /** All of them are alike. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Event> {

        public Snapshot() {
            super(EventSerializer::new);
        }
    }

    /** What comes again and again: of equal bytes the same object, which is never changed. */
    private static final class Shared<T> {

        private static final int SLOTS = 1_024;

        private final Function<byte[], T> make;
        private final byte[][] bytes = new byte[SLOTS][];
        private final Object[] made = new Object[SLOTS];
        private final byte[] buffer = new byte[Texts.LONG];

        Shared(Function<byte[], T> make) {
            this.make = make;
        }

        @SuppressWarnings("unchecked")
        T read(DataInputView in) throws IOException {
            int length = Texts.readLength(in);
            if (length >= Texts.LONG) {
                byte[] all = new byte[length];
                in.readFully(all);
                return make.apply(all);
            }
            in.readFully(buffer, 0, length);
            int slot = slot(length);
            byte[] held = bytes[slot];
            if (held == null || !Arrays.equals(held, 0, held.length, buffer, 0, length)) {
                bytes[slot] = Arrays.copyOf(buffer, length);
                made[slot] = make.apply(bytes[slot]);
            }
            return (T) made[slot];
        }

        private int slot(int length) {
            int hash = length;
            for (int i = 0; i < length; i++) {
                hash = 31 * hash + buffer[i];
            }
            return (hash ^ hash >>> 15) & SLOTS - 1;
        }
    }
}
