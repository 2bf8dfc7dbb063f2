package io.telefold.fold;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** What of a device the durable store is to be given when it is due. A part of the device's state. */
final class DueItems {

    static final long NEVER = Long.MAX_VALUE;

    /** The processing time for which the timer is set. */
    long at = NEVER;

    /** The least arrival of events that the durable store has nothing of. */
    long since = Long.MAX_VALUE;

    /** The {@link DeviceItems#bit} of each metric of which it lacks something in the head. */
    long metrics;

    /**
     * By window size: closed windows of before this are in blocks there, those from it on are in the head; the least long if
     * the head has none.
     */
    final long[] heldFrom;

    /** By window size: what {@link #heldFrom} was when the head was written that is there, if that has closed windows. */
    final long[] headHeldFrom;

    /** By window size: where the blocks begin that it lacks something of, and of each whether it is likely to have nothing. */
    private final List<TreeMap<Long, Boolean>> blocks = new ArrayList<>();

    DueItems(int sizes) {
        heldFrom = new long[sizes];
        headHeldFrom = new long[sizes];
        forgetHeld();
        for (int size = 0; size < sizes; size++) {
            blocks.add(new TreeMap<>());
        }
    }

    Map<Long, Boolean> blocks(int size) {
        return blocks.get(size);
    }

    void forgetHeld() {
        Arrays.fill(heldFrom, Long.MIN_VALUE);
        Arrays.fill(headHeldFrom, Long.MIN_VALUE);
    }

    /** Whether the head has closed windows, or is to have some. */
    boolean holds(int size) {
        return heldFrom[size] != Long.MIN_VALUE;
    }

    boolean holdsAny() {
        return Arrays.stream(heldFrom).anyMatch(from -> from != Long.MIN_VALUE);
    }

    void release(int size) {
        heldFrom[size] = Long.MIN_VALUE;
        headHeldFrom[size] = Long.MIN_VALUE;
    }

    void addBlock(int size, long start, boolean isNew) {
        blocks.get(size).merge(start, isNew, Boolean::logicalOr);
    }

    /** A window has changed, which is in a block that begins at {@code block}, or in one that is lacked anyhow. */
    void addChanged(int size, long block, long window, long blockMs) {
        if (!lacks(size, window, blockMs)) {
            addBlock(size, block, false);
        }
    }

    /** Whether a block with this window is lacked. */
    boolean lacks(int size, long window, long blockMs) {
        Long lacked = blocks.get(size).floorKey(window);
        return lacked != null && window - lacked < blockMs;
    }

    /** It has been given all, and no timer is set. */
    void clear() {
        at = NEVER;
        since = Long.MAX_VALUE;
        metrics = 0;
        blocks.forEach(Map::clear);
    }

    void write(DataOutputView out) throws IOException {
        for (long from : heldFrom) {
            out.writeLong(from);
        }
        for (long from : headHeldFrom) {
            out.writeLong(from);
        }
        out.writeLong(at);
        if (at == NEVER) {
            return;
        }
        out.writeLong(since);
        out.writeLong(metrics);
        for (Map<Long, Boolean> ofSize : blocks) {
            out.writeInt(ofSize.size());
            for (Map.Entry<Long, Boolean> block : ofSize.entrySet()) {
                out.writeLong(block.getKey());
                out.writeBoolean(block.getValue());
            }
        }
    }

    void read(DataInputView in) throws IOException {
        for (int size = 0; size < heldFrom.length; size++) {
            heldFrom[size] = in.readLong();
        }
        for (int size = 0; size < headHeldFrom.length; size++) {
            headHeldFrom[size] = in.readLong();
        }
        at = in.readLong();
        if (at == NEVER) {
            return;
        }
        since = in.readLong();
        metrics = in.readLong();
        for (Map<Long, Boolean> ofSize : blocks) {
            for (int left = in.readInt(); left > 0; left--) {
                ofSize.put(in.readLong(), in.readBoolean());
            }
        }
    }
}
