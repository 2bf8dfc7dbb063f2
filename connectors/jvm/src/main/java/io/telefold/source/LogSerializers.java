package io.telefold.source;

import io.kinesisflink.source.EnumeratorState;
import io.kinesisflink.source.KinesisSource;
import io.kinesisflink.source.ShardPosition;
import io.kinesisflink.source.ShardSplit;
import io.telefold.event.Event;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/** How splits and the enumerator's state are written into checkpoints. A version that is not known is refused. */
final class LogSerializers {

    private static final int VERSION = 1;
    private static final int INITIAL_BYTES = 256;

    private final SimpleVersionedSerializer<ShardSplit> shards;
    private final SimpleVersionedSerializer<EnumeratorState> enumerators;

    LogSerializers(KinesisSource<Event> stream) {
        this.shards = stream.getSplitSerializer();
        this.enumerators = stream.getEnumeratorCheckpointSerializer();
    }

    SimpleVersionedSerializer<LogSplit> splits() {
        return new Versioned<>(this::write, this::readSplit);
    }

    SimpleVersionedSerializer<LogState> states() {
        return new Versioned<>(this::write, this::readState);
    }

    private void write(LogSplit split, DataOutputSerializer out) throws IOException {
        out.writeBoolean(split instanceof LogSplit.OfStream);
        if (split instanceof LogSplit.OfStream ofStream) {
            writeWith(shards, ofStream.split(), out);
        } else {
            out.writeUTF(split.shard());
            out.writeBoolean(split.reached() != null);
            out.writeUTF(split.reached() == null ? "" : split.reached());
        }
    }

    private LogSplit readSplit(DataInputDeserializer in) throws IOException {
        if (in.readBoolean()) {
            return new LogSplit.OfStream(readWith(shards, in));
        }
        String shard = in.readUTF();
        boolean isBegun = in.readBoolean();
        String reached = in.readUTF();
        return new LogSplit.OfArchive(shard, isBegun ? reached : null);
    }

    private void write(LogState state, DataOutputSerializer out) throws IOException {
        out.writeBoolean(state.isWithinArchive());
        out.writeInt(state.pending().size());
        for (LogSplit split : state.pending()) {
            write(split, out);
        }
        out.writeInt(state.behind().size());
        for (Map.Entry<String, ShardPosition> shard : state.behind().entrySet()) {
            out.writeUTF(shard.getKey());
            out.writeUTF(shard.getValue().toString());
        }
        out.writeBoolean(state.stream() != null);
        if (state.stream() != null) {
            writeWith(enumerators, state.stream(), out);
        }
    }

    private LogState readState(DataInputDeserializer in) throws IOException {
        boolean isWithinArchive = in.readBoolean();
        List<LogSplit> pending = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            pending.add(readSplit(in));
        }
        Map<String, ShardPosition> behind = new LinkedHashMap<>();
        for (int left = in.readInt(); left > 0; left--) {
            behind.put(in.readUTF(), ShardPosition.parse(in.readUTF()));
        }
        return new LogState(isWithinArchive, pending, behind, in.readBoolean() ? readWith(enumerators, in) : null);
    }

    private static <T> void writeWith(SimpleVersionedSerializer<T> serializer, T value, DataOutputSerializer out)
            throws IOException {
        byte[] written = serializer.serialize(value);
        out.writeInt(serializer.getVersion());
        out.writeInt(written.length);
        out.write(written);
    }

    private static <T> T readWith(SimpleVersionedSerializer<T> serializer, DataInputDeserializer in)
            throws IOException {
        int version = in.readInt();
        byte[] written = new byte[in.readInt()];
        in.readFully(written);
        return serializer.deserialize(version, written);
    }

    private interface Writer<T> {
        void write(T value, DataOutputSerializer out) throws IOException;
    }

    private interface Reader<T> {
        T read(DataInputDeserializer in) throws IOException;
    }

    private record Versioned<T>(Writer<T> writer, Reader<T> reader) implements SimpleVersionedSerializer<T> {

        @Override
        public int getVersion() {
            return VERSION;
        }

        @Override
        public byte[] serialize(T value) throws IOException {
            DataOutputSerializer out = new DataOutputSerializer(INITIAL_BYTES);
            writer.write(value, out);
            return out.getCopyOfBuffer();
        }

        @Override
        public T deserialize(int version, byte[] serialized) throws IOException {
            if (version != VERSION) {
                throw new IOException(
                        "State of the events' source has version " + version + "; this build reads version " + VERSION);
            }
            return reader.read(new DataInputDeserializer(serialized));
        }
    }
}
