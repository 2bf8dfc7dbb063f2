package io.telefold.fold;

import io.telefold.Texts;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/** The readings of a device in one window of one size, by metric. */
final class Window {

    private static final int INITIAL_BYTES = 256;

    final long start;
    final Map<String, Readings> readings = new HashMap<>();

    /** Whether the block that this is in, which is not the current window any more, is to be written. */
    boolean isDue;

    Window(long start) {
        this.start = start;
    }

    Readings of(String metric) {
        return readings.computeIfAbsent(metric, name -> new Readings());
    }

    void write(DataOutputView out) throws IOException {
        out.writeLong(start);
        out.writeInt(readings.size());
        Readings before = null;
        for (Map.Entry<String, Readings> each : readings.entrySet()) {
            Texts.write(each.getKey(), out);
            each.getValue().write(out, start, before);
            before = each.getValue();
        }
    }

    byte[] toBytes() throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(INITIAL_BYTES);
        write(out);
        return out.getCopyOfBuffer();
    }

    /** Takes what {@link #toBytes} returned. */
    static Window of(byte[] bytes) throws IOException {
        return read(new DataInputDeserializer(bytes));
    }

    static Window read(DataInputView in) throws IOException {
        Window window = new Window(in.readLong());
        Readings before = null;
        for (int left = in.readInt(); left > 0; left--) {
            String metric = Texts.read(in);
            before = Readings.read(in, window.start, before);
            window.readings.put(metric, before);
        }
        return window;
    }
}
