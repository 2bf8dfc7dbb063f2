package io.telefold.fold;

import io.telefold.view.DeviceViews;
import io.telefold.view.WindowSize;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongPredicate;
import org.apache.flink.api.common.state.MapState;

/**
 * The windows of the device at hand: the current ones, those before them that its events have met since it was read, and, in
 * state, the rest of those before them.
 */
final class KnownWindows {

    private final DeviceViews views;
    private final List<MapState<Long, byte[]>> earlier;

    /** With the state of each size, by the starts of windows. */
    KnownWindows(DeviceViews views, List<MapState<Long, byte[]>> earlier) {
        this.views = views;
        this.earlier = earlier;
    }

    /** The windows from {@code begin} on, for as long as a block is at most. */
    TreeMap<Long, Window> from(DeviceState device, int size, long begin) throws Exception {
        WindowSize windows = views.windows[size];
        TreeMap<Long, Window> found = new TreeMap<>();
        for (long start = windows.firstOf(begin); start - begin < windows.blockMs(); start = windows.endOf(start)) {
            Window window = at(device, size, start);
            if (window != null) {
                found.put(start, window);
            }
        }
        return found;
    }

    private Window at(DeviceState device, int size, long start) throws Exception {
        Window current = device.current[size];
        if (current != null && current.start <= start) {
            return current.start == start ? current : null;
        }
        Window window = device.earlier(size).get(start);
        if (window != null) {
            return window;
        }
        byte[] stored = earlier.get(size).get(start);
        return stored == null ? null : Window.of(stored);
    }

    /** By size: the current window, if there is one. */
    List<List<Window>> current(DeviceState device) {
        List<List<Window>> current = new ArrayList<>(device.current.length);
        for (Window window : device.current) {
            current.add(window == null ? List.of() : List.of(window));
        }
        return current;
    }

    /** The window before the current one that begins at {@code start}, as it is in the heap from now on. */
    Window earlier(DeviceState device, int size, long start) throws Exception {
        Window window = device.earlier(size).get(start);
        if (window == null) {
            byte[] stored = earlier.get(size).get(start);
            window = stored == null ? new Window(start) : Window.of(stored);
            device.putEarlier(size, window);
        }
        return window;
    }

    /** Stores those that events have met. */
    void store(DeviceState device) throws Exception {
        for (int size = 0; size < views.sizes(); size++) {
            for (Map.Entry<Long, Window> each : device.earlier(size).entrySet()) {
                earlier.get(size).put(each.getKey(), each.getValue().toBytes());
            }
        }
        device.forgetEarlier();
    }

    /** Removes those of a size from state whose start is so. */
    void remove(int size, LongPredicate isOver) throws Exception {
        for (Iterator<Long> each = earlier.get(size).keys().iterator(); each.hasNext(); ) {
            if (isOver.test(each.next())) {
                each.remove();
            }
        }
    }

    void clear() {
        earlier.forEach(MapState::clear);
    }
}
