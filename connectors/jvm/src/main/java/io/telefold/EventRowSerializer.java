package io.telefold;

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
import org.apache.flink.types.Row;

/**
 * Rows of {@link EventRow} on their way from the task that reads to the one that folds: as UTF-8, which Java copies
 * where Flink's own serialiser goes through every character, and with the texts and attributes that many events share made
 * once: attributes are not to be changed.
 *
 * <p>Any field may be null. Metrics and attributes keep their order.
 */
public final class EventRowSerializer extends TypeSerializer<Row> {

    private static final long serialVersionUID = 1L;

    private static final int[] LONGS = {
        EventRow.EVENT_TIME, EventRow.SEQUENCE, EventRow.ARRIVAL, EventRow.SUB_SEQUENCE_NUMBER
    };
    private static final int[] TEXTS = {
        EventRow.EVENT_ID,
        EventRow.DEVICE_ID,
        EventRow.CORRELATION_ID,
        EventRow.SEQUENCE_NUMBER,
        EventRow.DETAIL,
        EventRow.CORRECTS,
        EventRow.PREVIOUS
    };
    private static final int[] SHARED_TEXTS = {EventRow.TYPE, EventRow.SHARD, EventRow.REASON};
    private static final int KEY_IS_THE_DEVICE = 1 << EventRow.ARITY;

    private transient Shared<String> texts;
    private transient Shared<Map<String, String>> attributes;
    private transient DataOutputSerializer packed;

    @Override
    public void serialize(Row row, DataOutputView out) throws IOException {
        int fields = fieldsOf(row);
        out.writeInt(fields);
        for (int field : LONGS) {
            if (row.getField(field) != null) {
                out.writeLong((Long) row.getField(field));
            }
        }
        for (int field : TEXTS) {
            writeText(row, field, out);
        }
        for (int field : SHARED_TEXTS) {
            writeText(row, field, out);
        }
        if (!isKeyTheDevice(fields)) {
            writeText(row, EventRow.PARTITION_KEY, out);
        }
        writeMetrics(row, out);
        writeAttributes(row, out);
        byte[] payload = (byte[]) row.getField(EventRow.PAYLOAD);
        if (payload != null) {
            Texts.writeBytes(payload, out);
        }
    }

    @Override
    public Row deserialize(DataInputView in) throws IOException {
        if (texts == null) {
            texts = new Shared<>(bytes -> new String(bytes, StandardCharsets.UTF_8));
            attributes = new Shared<>(bytes -> readAttributes(new DataInputDeserializer(bytes)));
        }
        Row row = new Row(EventRow.ARITY);
        int fields = in.readInt();
        for (int field : LONGS) {
            if (isIn(fields, field)) {
                row.setField(field, in.readLong());
            }
        }
        for (int field : TEXTS) {
            if (isIn(fields, field)) {
                row.setField(field, Texts.read(in));
            }
        }
        for (int field : SHARED_TEXTS) {
            if (isIn(fields, field)) {
                row.setField(field, texts.read(in));
            }
        }
        if (isKeyTheDevice(fields)) {
            row.setField(EventRow.PARTITION_KEY, row.getField(EventRow.DEVICE_ID));
        } else if (isIn(fields, EventRow.PARTITION_KEY)) {
            row.setField(EventRow.PARTITION_KEY, Texts.read(in));
        }
        if (isIn(fields, EventRow.METRICS)) {
            row.setField(EventRow.METRICS, readMetrics(in));
        }
        if (isIn(fields, EventRow.ATTRIBUTES)) {
            row.setField(EventRow.ATTRIBUTES, attributes.read(in));
        }
        if (isIn(fields, EventRow.PAYLOAD)) {
            row.setField(EventRow.PAYLOAD, Texts.readBytes(in));
        }
        return row;
    }

    /** A bit for every field that is not null, and one if the partition key is the device_id, as it should be. */
    private static int fieldsOf(Row row) {
        Object key = row.getField(EventRow.PARTITION_KEY);
        int fields = key != null && key.equals(row.getField(EventRow.DEVICE_ID)) ? KEY_IS_THE_DEVICE : 0;
        for (int field = 0; field < EventRow.ARITY; field++) {
            if (row.getField(field) != null) {
                fields |= 1 << field;
            }
        }
        return fields;
    }

    private static boolean isIn(int fields, int field) {
        return (fields & 1 << field) != 0;
    }

    private static boolean isKeyTheDevice(int fields) {
        return (fields & KEY_IS_THE_DEVICE) != 0;
    }

    private static void writeText(Row row, int field, DataOutputView out) throws IOException {
        if (row.getField(field) != null) {
            Texts.write((String) row.getField(field), out);
        }
    }

    private static void writeMetrics(Row row, DataOutputView out) throws IOException {
        Map<?, ?> metrics = (Map<?, ?>) row.getField(EventRow.METRICS);
        if (metrics != null) {
            Texts.writeLength(metrics.size(), out);
            for (Map.Entry<?, ?> metric : metrics.entrySet()) {
                Texts.write((String) metric.getKey(), out);
                out.writeDouble((Double) metric.getValue());
            }
        }
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
    private void writeAttributes(Row row, DataOutputView out) throws IOException {
        Map<?, ?> attributes = (Map<?, ?>) row.getField(EventRow.ATTRIBUTES);
        if (attributes != null) {
            if (packed == null) {
                packed = new DataOutputSerializer(128);
            }
            packed.clear();
            Texts.writeLength(attributes.size(), packed);
            for (Map.Entry<?, ?> attribute : attributes.entrySet()) {
                Texts.write((String) attribute.getKey(), packed);
                Texts.write((String) attribute.getValue(), packed);
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
    public Row copy(Row from) {
        Row copy = Row.copy(from);
        Map<?, ?> metrics = (Map<?, ?>) from.getField(EventRow.METRICS);
        Map<?, ?> attributes = (Map<?, ?>) from.getField(EventRow.ATTRIBUTES);
        byte[] payload = (byte[]) from.getField(EventRow.PAYLOAD);
        copy.setField(EventRow.METRICS, metrics == null ? null : new LinkedHashMap<>(metrics));
        copy.setField(EventRow.ATTRIBUTES, attributes == null ? null : new LinkedHashMap<>(attributes));
        copy.setField(EventRow.PAYLOAD, payload == null ? null : payload.clone());
        return copy;
    }

    @Override
    public Row copy(Row from, Row reuse) {
        return copy(from);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        serialize(deserialize(in), out);
    }

    @Override
    public Row deserialize(Row reuse, DataInputView in) throws IOException {
        return deserialize(in);
    }

    @Override
    public Row createInstance() {
        return new Row(EventRow.ARITY);
    }

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public int getLength() {
        return -1;
    }

    /** Each shares among its own rows only. */
    @Override
    public TypeSerializer<Row> duplicate() {
        return new EventRowSerializer();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof EventRowSerializer;
    }

    @Override
    public int hashCode() {
        return EventRowSerializer.class.hashCode();
    }

    @Override
    public TypeSerializerSnapshot<Row> snapshotConfiguration() {
        return new Snapshot();
    }

    /** All of them are alike. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Row> {

        public Snapshot() {
            super(EventRowSerializer::new);
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
