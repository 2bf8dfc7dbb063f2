package io.telefold.fold;

import io.telefold.fold.DeviceItems.Item;
import io.telefold.view.Destination;
import io.telefold.view.DeviceViews;
import io.telefold.view.WindowSize;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * What the durable store is given of the device at hand when it is due: blocks of windows, and a head that has closed windows
 * as long as there is room for them.
 */
final class DurableItems {

    private final DeviceViews views;
    private final DeviceItems items;
    private final KnownWindows known;
    private final long intervalMs;
    private final int[] longestFirst;

    /** The store is given something every {@code intervalMs}, or with every flush where that is 0. */
    DurableItems(DeviceViews views, DeviceItems items, KnownWindows known, long intervalMs) {
        this.views = views;
        this.items = items;
        this.known = known;
        this.intervalMs = intervalMs;
        longestFirst = IntStream.range(0, views.sizes())
                .boxed()
                .sorted(Comparator.comparingLong(size -> -views.windows[size].longestMs))
                .mapToInt(Integer::intValue)
                .toArray();
    }

    /**
     * Gives the durable store all that it lacks of a device, for which no timer is set any more. Returns whether the head is
     * due again, as a block has gone ahead of it, if that {@code mayBe}.
     */
    boolean appendDue(String deviceId, DeviceState device, boolean mayBe) throws Exception {
        appendDueBlocks(deviceId, device);
        appendHeldNoMore(deviceId, device);
        long metrics = device.due.metrics;
        boolean isAhead = false;
        if (metrics != 0) {
            isAhead = appendDueHead(deviceId, device, mayBe);
        }
        device.due.clear();
        if (isAhead) {
            device.due.metrics = metrics;
        }
        return isAhead;
    }

    /** Gives it all windows of a device that leave the state, in blocks, and the head of the current ones. */
    void appendLast(String deviceId, DeviceState device) throws Exception {
        appendDueBlocks(deviceId, device);
        appendOpenBlocks(deviceId, device);
        List<Item> head = items.head(device, known.current(device), -1, Destination.DURABLE);
        items.append(deviceId, head, Destination.DURABLE, false);
        device.due.clear();
    }

    /**
     * The durable store's head has current windows, and closed ones until those that come before the next time would make it
     * take more write units. Then they go into a block of their own, and the head is without them, if that takes no more
     * units. If it does, the block goes ahead of the head: it has all that is in the head and takes its place until the next
     * time. The head that is there tells where that block is; so this happens once between two heads.
     */
    private boolean appendDueHead(String deviceId, DeviceState device, boolean mayGoAhead) throws Exception {
        List<Collection<Window>> windows = windowsOfDueHead(device);
        List<Item> head = dueHead(device, windows);
        for (int size : longestFirst) {
            if (windows.get(size).size() > 1) {
                List<Collection<Window>> others = new ArrayList<>(windows);
                others.set(size, List.of(device.current[size]));
                List<Item> least = dueHead(device, others);
                List<Item> block = closedBlock(device, size, windows.get(size));
                int unitsApart = DeviceItems.units(deviceId, least) + DeviceItems.units(deviceId, block);
                int gain = DeviceItems.units(deviceId, head) - unitsApart;
                boolean isFull = isAboutToTakeMore(deviceId, head, least, windows.get(size), views.windows[size]);
                if (isFull && gain < 0 && mayGoAhead && appendBlockAhead(deviceId, device, size, windows, head)) {
                    return true;
                }
                if (gain > 0 || isFull && gain == 0) {
                    items.append(deviceId, block, Destination.DURABLE, true);
                    device.due.heldFrom[size] = device.current[size].start;
                    windows = others;
                    head = least;
                }
            }
        }
        items.append(deviceId, head, Destination.DURABLE, false);
        for (int size = 0; size < views.sizes(); size++) {
            boolean hasClosed = windows.get(size).size() > 1;
            device.due.headHeldFrom[size] = hasClosed ? device.due.heldFrom[size] : Long.MIN_VALUE;
        }
        return false;
    }

    private List<Item> dueHead(DeviceState device, List<Collection<Window>> windows) {
        return items.head(device, windows, device.due.metrics, Destination.DURABLE);
    }

    /**
     * Whether a head takes more write units once it has those closed windows as well that come until it is due again, or
     * whether these are too many for a block.
     */
    private boolean isAboutToTakeMore(
            String deviceId, List<Item> head, List<Item> least, Collection<Window> windows, WindowSize size) {
        int closed = windows.size() - 1;
        if (closed * size.longestMs + intervalMs >= size.blockMs()) {
            return true;
        }
        int bytes = DeviceItems.bytes(deviceId, head);
        long more = (bytes - DeviceItems.bytes(deviceId, least)) * (intervalMs / size.longestMs) / closed;
        return DeviceItems.units(bytes + more) > DeviceItems.units(bytes);
    }

    private boolean appendBlockAhead(
            String deviceId, DeviceState device, int size, List<Collection<Window>> windows, List<Item> head) {
        if (views.latest == null
                || !DeviceItems.areWhole(device)
                || device.due.headHeldFrom[size] != device.due.heldFrom[size]) {
            return false;
        }
        Collection<Window> closed =
                closed(windows.get(size), device.current[size]).values();
        Item ahead = items.blockWithHead(device, size, device.due.heldFrom[size], closed, windows);
        if (DeviceItems.units(deviceId, List.of(ahead)) > DeviceItems.units(deviceId, head)) {
            return false;
        }
        items.append(deviceId, List.of(ahead), Destination.DURABLE, true);
        device.due.heldFrom[size] = device.current[size].start;
        Arrays.fill(device.due.headHeldFrom, Long.MIN_VALUE);
        return true;
    }

    private List<Item> closedBlock(DeviceState device, int size, Collection<Window> windows) {
        TreeMap<Long, Window> closed = closed(windows, device.current[size]);
        return items.block(device, size, device.due.heldFrom[size], closed, closed.values(), Destination.DURABLE);
    }

    private static TreeMap<Long, Window> closed(Collection<Window> windows, Window current) {
        TreeMap<Long, Window> closed = new TreeMap<>();
        windows.forEach(window -> closed.put(window.start, window));
        closed.remove(current.start);
        return closed;
    }

    /** By size, the windows that the durable store's head is to have. */
    private List<Collection<Window>> windowsOfDueHead(DeviceState device) throws Exception {
        List<Collection<Window>> windows = new ArrayList<>(known.current(device));
        for (int size = 0; size < views.sizes(); size++) {
            if (device.current[size] != null && device.due.holds(size)) {
                windows.set(
                        size,
                        known.from(device, size, device.due.heldFrom[size]).values());
            }
        }
        return windows;
    }

    private void appendDueBlocks(String deviceId, DeviceState device) throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            for (Map.Entry<Long, Boolean> due : device.due.blocks(size).entrySet()) {
                appendBlock(deviceId, device, size, due.getKey(), due.getValue());
            }
        }
    }

    /** What the head has of windows goes into blocks of the durable store. */
    private void appendOpenBlocks(String deviceId, DeviceState device) throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            Window current = device.current[size];
            if (device.due.holds(size)) {
                appendHeld(deviceId, device, size);
            } else if (current != null) {
                appendBlock(deviceId, device, size, views.windows[size].blockOf(current.start), false);
            }
        }
    }

    /** Closed windows that the head held before the interval became too short for that go into blocks. */
    void appendHeldNoMore(String deviceId, DeviceState device) throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            if (device.due.holds(size) && !isHeldByHead(size)) {
                appendHeld(deviceId, device, size);
            }
        }
    }

    private void appendHeld(String deviceId, DeviceState device, int size) throws Exception {
        WindowSize windows = views.windows[size];
        long begin = device.due.heldFrom[size];
        while (begin <= device.current[size].start) {
            appendBlock(deviceId, device, size, begin, false);
            begin = windows.firstOf(begin + windows.blockMs());
        }
        device.due.release(size);
    }

    /** A block goes to the durable store with all windows of its time that are known. */
    private void appendBlock(String deviceId, DeviceState device, int size, long begin, boolean isNew)
            throws Exception {
        TreeMap<Long, Window> windows = known.from(device, size, begin);
        if (!windows.isEmpty()) {
            List<Item> block = items.block(device, size, begin, windows, windows.values(), Destination.DURABLE);
            items.append(deviceId, block, Destination.DURABLE, isNew);
        }
    }

    /**
     * Whether the durable store has closed windows of this size in the head until their block is over: those of which there
     * are several between two times that the head is written. Longer ones are cheaper in their block from the first on.
     */
    private boolean isHeldByHead(int size) {
        return views.windows[size].longestMs <= intervalMs;
    }

    /** The durable store lacks something of a window that is not the current one. */
    void owe(DeviceState device, int size, long start, long bits) {
        WindowSize windows = views.windows[size];
        if (isHeldByHead(size) && device.due.holds(size) && start >= device.due.heldFrom[size]) {
            device.due.metrics |= bits;
        } else {
            device.due.addChanged(size, windows.blockOf(start), start, windows.blockMs());
        }
    }

    /** The durable store is to have the window that is over in the head, or else in a block. */
    void close(int size, long start, long next, DueItems due) {
        WindowSize windows = views.windows[size];
        if (!isHeldByHead(size)) {
            long block = windows.blockOf(start);
            due.addBlock(size, block, windows.firstOf(block) == start);
            if (due.holds(size)) {
                due.addBlock(size, due.heldFrom[size], true);
                due.release(size);
            }
            return;
        }
        if (!due.holds(size)) {
            due.heldFrom[size] = start;
        }
        if (next - due.heldFrom[size] >= windows.blockMs()) {
            due.addBlock(size, due.heldFrom[size], true);
            due.heldFrom[size] = next;
        }
    }
}
