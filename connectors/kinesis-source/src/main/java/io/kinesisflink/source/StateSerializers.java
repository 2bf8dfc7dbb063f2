package io.kinesisflink.source;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/** How splits and the enumerator's state are written into checkpoints. A version that is not known is refused. */
final class StateSerializers {

    static final SimpleVersionedSerializer<ShardSplit> SPLITS = new Versioned<>(ShardSplit::write, ShardSplit::read);

    static final SimpleVersionedSerializer<EnumeratorState> ENUMERATOR =
            new Versioned<>(StateSerializers::write, StateSerializers::read);

    private static final int VERSION = 1;

    private StateSerializers() {}

    private static void write(EnumeratorState state, DataOutput out) throws IOException {
        out.writeBoolean(state.beginning() != null);
        if (state.beginning() != null) {
            state.beginning().write(out);
        }
        out.writeBoolean(state.wasListed());
        writeNames(state.started(), out);
        writeNames(state.ended(), out);
        out.writeInt(state.pending().size());
        for (ShardSplit split : state.pending()) {
            split.write(out);
        }
        out.writeInt(state.given().size());
        for (Map.Entry<String, ShardPosition> shard : state.given().entrySet()) {
            out.writeUTF(shard.getKey());
            shard.getValue().write(out);
        }
    }

    private static EnumeratorState read(DataInput in) throws IOException {
        ShardPosition beginning = in.readBoolean() ? ShardPosition.read(in) : null;
        boolean wasListed = in.readBoolean();
        Set<String> started = readNames(in);
        Set<String> ended = readNames(in);
        List<ShardSplit> pending = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            pending.add(ShardSplit.read(in));
        }
        Map<String, ShardPosition> given = new LinkedHashMap<>();
        for (int left = in.readInt(); left > 0; left--) {
            given.put(in.readUTF(), ShardPosition.read(in));
        }
        return new EnumeratorState(beginning, wasListed, started, ended, pending, given);
    }

    private static void writeNames(Collection<String> names, DataOutput out) throws IOException {
        out.writeInt(names.size());
        for (String name : names) {
            out.writeUTF(name);
        }
    }

    private static Set<String> readNames(DataInput in) throws IOException {
        Set<String> names = new LinkedHashSet<>();
        for (int left = in.readInt(); left > 0; left--) {
            names.add(in.readUTF());
        }
        return names;
    }

    private interface Writer<S> {
        void write(S state, DataOutput out) throws IOException;
    }

    private interface Reader<S> {
        S read(DataInput in) throws IOException;
    }

    private record Versioned<S>(Writer<S> writer, Reader<S> reader) implements SimpleVersionedSerializer<S> {

        @Override
        public int getVersion() {
            return VERSION;
        }

        @Override
        public byte[] serialize(S state) throws IOException {
            DataOutputSerializer out = new DataOutputSerializer(256);
            writer.write(state, out);
            return out.getCopyOfBuffer();
        }

        @Override
        public S deserialize(int version, byte[] serialized) throws IOException {
            if (version != VERSION) {
                throw new IOException("State of version " + version + " was written by another release of the source;"
                        + " this one reads version " + VERSION);
            }
            return reader.read(new DataInputDeserializer(serialized));
        }
    }
}
