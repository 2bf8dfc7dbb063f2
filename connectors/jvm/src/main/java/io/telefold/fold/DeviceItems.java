package io.telefold.fold;

import io.telefold.Texts;
import io.telefold.view.Destination;
import io.telefold.view.DeviceViews;
import io.telefold.view.PackedRows;
import io.telefold.view.RowFormat;
import io.telefold.view.RowLines;
import io.telefold.view.RowValues;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The rows of devices as items: the head of a device, which holds its newest readings and its current windows, and may hold
 * some before those, and blocks, which hold windows, so many of one size together. A row may be in several
 * items, and the one of the highest version counts.
 *
 * <p>Of a device with many metrics, head and blocks come in parts, by the hash of the metric, so that none grows too large,
 * and that few readings do not make all be written. An item's name tells in how many parts, since they do not replace each
 * other.
 */
final class DeviceItems {

    private static final int METRICS_A_PART = 64;
    private static final int BYTES_A_UNIT = 1_024;

    /** What {@code schemas.row_limits.item_bytes} counts for an item but its rows, its device's name and its sort key. */
    private static final int BYTES_BESIDE_THE_ROWS = 60;

    private final DeviceViews views;
    private final RowLines lines;
    private final PackedRows packed;

    DeviceItems(DeviceViews views, RowLines lines) {
        this.views = views;
        this.lines = lines;
        this.packed = new PackedRows(views);
    }

    /** One of 64 bits, by the metric's name: parts of whatever number divide these between them. */
    static long bit(String metric) {
        return 1L << (hash(metric) & 63);
    }

    /** Appends items to the lines; ones that are new are likely not to be in the durable store yet. */
    void append(String deviceId, List<Item> items, Destination to, boolean areNew) {
        String quotedDevice = Texts.quoted(deviceId);
        for (Item item : items) {
            lines.appendItem(quotedDevice, item.sort, item.version, item.expiresAt, item.body, item.names, to, areNew);
        }
    }

    /** The bytes that items are in the durable store, with what it has beside their rows. */
    static int bytes(String deviceId, List<Item> items) {
        int bytes = 0;
        for (Item item : items) {
            bytes += item.body.length + deviceId.length() + item.sort.length() + BYTES_BESIDE_THE_ROWS;
        }
        return bytes;
    }

    /** The write units that an item of so many bytes takes. */
    static long units(long bytes) {
        return bytes / BYTES_A_UNIT + 1;
    }

    static int units(String deviceId, List<Item> items) {
        int units = 0;
        for (Item item : items) {
            units += (int) units(bytes(deviceId, List.of(item)));
        }
        return units;
    }

    /**
     * The parts of the head that have metrics of {@code bits}: the newest readings of their metrics, and by size those windows
     * of {@code windows}, which are in the order of time.
     */
    List<Item> head(DeviceState device, List<? extends Collection<Window>> windows, long bits, Destination to) {
        List<Item> parts = new ArrayList<>();
        int count = parts(device.latest.size());
        for (int part = 0; part < count; part++) {
            if (holdsAny(bits, part, count)) {
                addHead(device, windows, part, count, to, parts);
            }
        }
        return parts;
    }

    private static boolean holdsAny(long bits, int part, int count) {
        for (int bit = part; bit < 64; bit += count) {
            if ((bits >>> bit & 1) != 0) {
                return true;
            }
        }
        return false;
    }

    private void addHead(
            DeviceState device,
            List<? extends Collection<Window>> windows,
            int part,
            int count,
            Destination to,
            List<Item> parts) {
        Names names = new Names(to);
        Expiry expiry = new Expiry();
        addRows(device, windows, part, count, names, expiry);
        if (!packed.isEmpty()) {
            String sort = "latest" + suffix(".", part, count);
            parts.add(new Item(sort, device.version(), expiry.at(), packed.take(), names.text));
        }
    }

    private void addRows(
            DeviceState device,
            List<? extends Collection<Window>> windows,
            int part,
            int count,
            Names names,
            Expiry expiry) {
        Map<String, Latest> latest = new TreeMap<>();
        device.latest.forEach((metric, newest) -> {
            if (part(metric, count) == part) {
                latest.put(metric, newest);
            }
        });
        if (views.latest != null && !latest.isEmpty()) {
            packed.addLatest(List.copyOf(latest.keySet()), List.copyOf(latest.values()));
            latest.forEach((metric, newest) -> {
                names.addIfDue(views.latest, metric, "", newest);
                expiry.add(views.latest.expiresAt(newest.at()));
            });
        }
        for (int size = 0; size < views.sizes(); size++) {
            addWindows(size, byMetric(windows.get(size), part, count), names, expiry);
        }
    }

    /**
     * The block of {@code windows}, which are all of it from {@code begin} on, or its parts that have metrics of {@code due}
     * ones.
     */
    List<Item> block(
            DeviceState device,
            int size,
            long begin,
            TreeMap<Long, Window> windows,
            Collection<Window> due,
            Destination to) {
        Set<String> metrics = new HashSet<>();
        windows.values().forEach(window -> metrics.addAll(window.readings.keySet()));
        int count = parts(Math.max(device.latest.size(), metrics.size()));
        Set<Integer> duePart = new TreeSet<>();
        due.forEach(window -> window.readings.keySet().forEach(metric -> duePart.add(part(metric, count))));
        String sort = sortOfBlock(device, size, begin);
        List<Item> parts = new ArrayList<>();
        for (int part : duePart) {
            Names names = new Names(to);
            Expiry expiry = new Expiry();
            long version = addWindows(size, byMetric(windows.values(), part, count), names, expiry);
            parts.add(new Item(sort + suffix("#", part, count), version, expiry.at(), packed.take(), names.text));
        }
        return parts;
    }

    private String sortOfBlock(DeviceState device, int size, long begin) {
        return "rollups#" + views.windows[size].name + "#" + lines.isoTime(begin)
                + (device.knownSince == DeviceState.UNKNOWN ? "" : "#" + Math.floorDiv(device.knownSince, 1_000L));
    }

    /** Whether a device's head, and each of its blocks, is one item. */
    static boolean areWhole(DeviceState device) {
        return parts(device.latest.size()) == 1;
    }

    /**
     * A block that is whole with what the head is to hold, as one item for the durable store. It has the version of the block
     * and expires with it.
     */
    Item blockWithHead(
            DeviceState device,
            int size,
            long begin,
            Collection<Window> block,
            List<? extends Collection<Window>> windowsOfHead) {
        TreeMap<Long, Window> ofSize = new TreeMap<>();
        windowsOfHead.get(size).forEach(window -> ofSize.put(window.start, window));
        Expiry expiry = new Expiry();
        long version = 0;
        for (Window window : block) {
            ofSize.put(window.start, window);
            expiry.add(views.rollups[size].expiresAt(window.start + views.windows[size].longestMs));
            for (Readings readings : window.readings.values()) {
                version += readings.count;
            }
        }
        List<Collection<Window>> windows = new ArrayList<>(windowsOfHead);
        windows.set(size, ofSize.values());
        addRows(device, windows, 0, 1, new Names(Destination.DURABLE), new Expiry());
        return new Item(sortOfBlock(device, size, begin), version, expiry.at(), packed.take(), "");
    }

    private static Map<String, List<Window>> byMetric(Collection<Window> windows, int part, int count) {
        Map<String, List<Window>> byMetric = new TreeMap<>();
        for (Window window : windows) {
            for (String metric : window.readings.keySet()) {
                if (part(metric, count) == part) {
                    byMetric.computeIfAbsent(metric, name -> new ArrayList<>()).add(window);
                }
            }
        }
        return byMetric;
    }

    /** Returns how many readings are in them. */
    private long addWindows(int size, Map<String, List<Window>> byMetric, Names names, Expiry expiry) {
        long count = 0;
        for (Map.Entry<String, List<Window>> each : byMetric.entrySet()) {
            String metric = each.getKey();
            long[] starts = new long[each.getValue().size()];
            List<Readings> readings = new ArrayList<>(starts.length);
            for (Window window : each.getValue()) {
                Readings held = window.readings.get(metric);
                starts[readings.size()] = window.start;
                readings.add(held);
                count += held.count;
                names.addIfDue(views.rollups[size], metric, "#" + lines.isoTime(window.start), held);
                expiry.add(views.rollups[size].expiresAt(window.start + views.windows[size].longestMs));
            }
            packed.addRollups(size, metric, starts, readings);
        }
        return count;
    }

    /** Appends a row of its own, which no head will hold any more; if anybody wants rows of newest readings. */
    void appendForgotten(String deviceId, String metric, Latest latest) {
        if (views.latest != null) {
            latest.changed = true;
            lines.appendIfChanged(
                    views.latest, Texts.quoted(deviceId), metric, "", latest, latest.at(), Destination.BOTH);
        }
    }

    /** A power of two. */
    private static int parts(int metrics) {
        int count = 1;
        while (count * METRICS_A_PART < metrics) {
            count *= 2;
        }
        return count;
    }

    private static int part(String metric, int count) {
        return hash(metric) & count - 1;
    }

    private static int hash(String metric) {
        int hash = metric.hashCode();
        return hash ^ hash >>> 16;
    }

    private static String suffix(String mark, int part, int count) {
        return count == 1 ? "" : mark + part + "of" + count;
    }

    /** A head or a block, or a part of one, that is packed. */
    static final class Item {

        private final String sort;
        private final long version;
        private final Long expiresAt;
        private final byte[] body;
        private final CharSequence names;

        private Item(String sort, long version, Long expiresAt, byte[] body, CharSequence names) {
            this.sort = sort;
            this.version = version;
            this.expiresAt = expiresAt;
            this.body = body;
            this.names = names;
        }
    }

    /**
     * The sort keys of the rows that changed, as a list in JSON; none of them has changed any more once it is in here. The
     * durable store tells nobody, so there is none for it, and what the fast one has yet to be given stays as it is.
     */
    private static final class Names {

        final StringBuilder text = new StringBuilder();
        private final boolean isFor;

        Names(Destination to) {
            isFor = to != Destination.DURABLE;
        }

        void addIfDue(RowFormat format, String metric, String suffix, RowValues values) {
            if (isFor && values.changed) {
                text.append(text.length() == 0 ? "\"" : ",\"");
                format.appendSort(text, metric, suffix);
                text.append('"');
                values.changed = false;
            }
        }
    }

    /** When the last of some rows expires, in epoch seconds; never, if one never does. */
    private static final class Expiry {

        private long latest = Long.MIN_VALUE;
        private boolean isNever;

        void add(Long expiresAt) {
            isNever |= expiresAt == null;
            latest = expiresAt == null ? latest : Math.max(latest, expiresAt);
        }

        Long at() {
            return isNever ? null : latest;
        }
    }
}
