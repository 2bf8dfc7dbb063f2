package io.kinesisflink.sink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/** How records that Kinesis has not taken are written into checkpoints. A version that is not known is refused. */
final class SinkStateSerializer implements SimpleVersionedSerializer<SinkState> {

    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(SinkState state) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        out.writeInt(state.entries().size());
        for (PutEntry entry : state.entries()) {
            out.writeUTF(entry.partitionKey());
            out.writeInt(entry.data().length);
            out.write(entry.data());
        }
        return out.getCopyOfBuffer();
    }

    @Override
    public SinkState deserialize(int version, byte[] serialized) throws IOException {
        if (version != VERSION) {
            throw new IOException("State of version " + version + " was written by another release of the sink;"
                    + " this one reads version " + VERSION);
        }
        DataInputDeserializer in = new DataInputDeserializer(serialized);
        List<PutEntry> entries = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            String partitionKey = in.readUTF();
            byte[] data = new byte[in.readInt()];
            in.readFully(data);
            entries.add(new PutEntry(partitionKey, data));
        }
        return new SinkState(entries);
    }
}
