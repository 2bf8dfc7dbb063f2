package io.telefold.fold;

import io.telefold.Texts;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * What is known of one device, but for the chunks of its event ids and its windows before the current ones: its clock,
 * its newest ids, the newest reading of each metric, and of each window size the newest window. Exists from its first
 * accepted event on.
 */
final class DeviceState {

    private static final byte FORMAT = 7;
    private static final byte FORMAT_WITHOUT_DUE_ITEMS = 6;
    private static final byte FORMAT_WITHOUT_STEPS = 5;
    private static final int STEPS_A_TIME = 1 << 20;
    static final long UNKNOWN = 0;
    private static final int INITIAL_BYTES = 512;
    private static final int BYTES_OF_ITS_OWN = 700;
    private static final int BYTES_OF_READINGS = 210;

    /** The largest event_time accepted. */
    long time = Long.MIN_VALUE;

    /** Events before this are too late however recent the clock is. */
    long closedBefore = Long.MIN_VALUE;

    /** The greatest arrival of its events that were accepted or found duplicates. */
    long heard = Long.MIN_VALUE;

    /** How many of its events were accepted or found duplicates since {@link #heard} was reached. */
    private int steps;

    /**
     * The arrival of the first of its events whose windows are known; {@link #UNKNOWN} before that, and in state of
     * earlier builds. What comes after windows were forgotten goes to other blocks than those had, which nobody can
     * write again as a whole.
     */
    long knownSince = UNKNOWN;

    /** What {@link #time} was when ids and windows were last pruned. */
    long prunedAt;

    /** How many ids were remembered since then. */
    int idsSincePruned;

    /** Whether an event of its was judged, not forgiven: since then it may fall silent. */
    boolean judged;

    /** The time of the log at which a timer will look how long it has been silent. */
    long wakeAt = Long.MAX_VALUE;

    /** The {@link DeviceItems#bit} of each metric of which a row in the head has changed since the last flush. */
    long changed;

    final DueItems due;

    /** What the cache counted for it when it was last put there. */
    int cachedBytes;

    /** The newest reading of each metric that is known, whether or not anybody wants a row of it. */
    final Map<String, Latest> latest = new HashMap<>();

    /** By window size; null before the first. */
    final Window[] current;

    final EventIds ids = new EventIds();

    /** By window size and start, windows before the current ones that changed since the last flush. */
    private final List<Map<Long, Window>> earlier;

    DeviceState(int sizes) {
        current = new Window[sizes];
        due = new DueItems(sizes);
        earlier = new ArrayList<>(Collections.nCopies(sizes, Map.of()));
    }

    Map<Long, Window> earlier(int size) {
        return earlier.get(size);
    }

    /** Most devices have none between two flushes. */
    void putEarlier(int size, Window window) {
        if (earlier.get(size).isEmpty()) {
            earlier.set(size, new HashMap<>());
        }
        earlier.get(size).put(window.start, window);
    }

    /** An event of its that arrived at {@code arrival} was accepted, or found a duplicate. */
    void heardAt(long arrival) {
        steps = arrival > heard ? 0 : Math.min(steps + 1, STEPS_A_TIME - 1);
        heard = Math.max(heard, arrival);
    }

    /** Grows with every event that changes a row, whatever has been forgotten meanwhile. */
    long version() {
        return Math.max(0, heard) * STEPS_A_TIME + steps;
    }

    /** Before its first accepted event. */
    boolean isNew() {
        return time == Long.MIN_VALUE;
    }

    boolean isExpired() {
        return closedBefore > time;
    }

    /** Whether its next event is the first whose windows are known. */
    boolean isWithoutWindows() {
        return isNew() || isExpired() && knownSince == UNKNOWN;
    }

    /** Leaves nothing but the clock and the newest readings, from which counters go on. */
    void forgetWindows() {
        Arrays.fill(current, null);
        due.forgetHeld();
        forgetEarlier();
        knownSince = UNKNOWN;
    }

    /** Of what is in state by now. */
    void forgetEarlier() {
        Collections.fill(earlier, Map.of());
    }

    /** About how many bytes of the heap this takes. */
    int weight() {
        int readings = latest.size();
        for (Window window : current) {
            readings += window == null ? 0 : window.readings.size();
        }
        return BYTES_OF_ITS_OWN + readings * BYTES_OF_READINGS + ids.weight();
    }

    byte[] toBytes() throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(INITIAL_BYTES);
        out.writeByte(FORMAT);
        out.writeLong(time);
        out.writeLong(closedBefore);
        out.writeLong(heard);
        out.writeInt(steps);
        out.writeLong(knownSince);
        out.writeLong(prunedAt);
        out.writeInt(idsSincePruned);
        out.writeBoolean(judged);
        out.writeLong(wakeAt);
        due.write(out);
        out.writeInt(latest.size());
        String idBefore = "";
        for (Map.Entry<String, Latest> each : latest.entrySet()) {
            Texts.write(each.getKey(), out);
            each.getValue().write(out, idBefore);
            idBefore = each.getValue().eventId();
        }
        for (Window window : current) {
            out.writeBoolean(window != null);
            if (window != null) {
                window.write(out);
            }
        }
        ids.write(out);
        return out.getCopyOfBuffer();
    }

    /** Takes what {@link #toBytes} returned for as many window sizes. */
    static DeviceState of(byte[] bytes, int sizes) throws IOException {
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        byte format = in.readByte();
        if (format < FORMAT_WITHOUT_STEPS || format > FORMAT) {
            throw new IOException("the state of a device has format " + format + ", this version reads " + FORMAT);
        }
        DeviceState state = new DeviceState(sizes);
        state.time = in.readLong();
        state.closedBefore = in.readLong();
        state.heard = in.readLong();
        if (format >= FORMAT_WITHOUT_DUE_ITEMS) {
            state.steps = in.readInt();
            state.knownSince = in.readLong();
        }
        state.prunedAt = in.readLong();
        state.idsSincePruned = in.readInt();
        state.judged = in.readBoolean();
        state.wakeAt = in.readLong();
        if (format == FORMAT) {
            state.due.read(in);
        }
        String idBefore = "";
        for (int left = in.readInt(); left > 0; left--) {
            String metric = Texts.read(in);
            Latest latest = Latest.read(in, idBefore);
            state.latest.put(metric, latest);
            idBefore = latest.eventId();
        }
        for (int size = 0; size < sizes; size++) {
            if (in.readBoolean()) {
                state.current[size] = Window.read(in);
            }
        }
        state.ids.read(in);
        return state;
    }
}
