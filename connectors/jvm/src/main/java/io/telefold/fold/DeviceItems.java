package io.telefold.fold;

import io.telefold.Texts;
import io.telefold.view.DeviceViews;
import io.telefold.view.PackedRows;
import io.telefold.view.RowFormat;
import io.telefold.view.RowLines;
import io.telefold.view.RowValues;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The rows of devices as items: the head of a device, which holds its newest readings and its current windows and is written
 * with every change, and blocks, which hold the windows before those, so many of one size together. A row may be in several
 * items, and the one of the highest version counts.
 *
 * <p>Of a device with many metrics, head and blocks come in parts, by the hash of the metric, so that none grows too large,
 * and that few readings do not make all be written. An item's name tells in how many parts, since they do not replace each
 * other.
 */
final class DeviceItems {

    private static final int METRICS_A_PART = 64;

    private final DeviceViews views;
    private final RowLines lines;
    private final PackedRows packed;

    DeviceItems(DeviceViews views, RowLines lines) {
        this.views = views;
        this.lines = lines;
        this.packed = new PackedRows(views);
    }

    /** Appends the parts of the head of which a row is due. */
    void appendHead(String deviceId, DeviceState device) {
        String quotedDevice = Texts.quoted(deviceId);
        Map<Integer, Head> parts = new TreeMap<>();
        int count = parts(device.latest.size());
        device.latest.forEach(
                (metric, latest) -> part(parts, metric, count).latest.put(metric, latest));
        for (int size = 0; size < views.sizes(); size++) {
            if (device.current[size] != null) {
                for (Map.Entry<String, Readings> each : device.current[size].readings.entrySet()) {
                    part(parts, each.getKey(), count).windows.get(size).put(each.getKey(), each.getValue());
                }
            }
        }
        parts.forEach((part, head) -> {
            if (head.isDue(views.latest != null)) {
                appendHead(quotedDevice, device, head, suffix(".", part, count));
            }
        });
    }

    private Head part(Map<Integer, Head> parts, String metric, int count) {
        return parts.computeIfAbsent(part(metric, count), number -> new Head(views.sizes()));
    }

    private void appendHead(String quotedDevice, DeviceState device, Head head, String suffix) {
        Names names = new Names();
        Expiry expiry = new Expiry();
        if (views.latest != null && !head.latest.isEmpty()) {
            packed.addLatest(List.copyOf(head.latest.keySet()), List.copyOf(head.latest.values()));
            head.latest.forEach((metric, latest) -> {
                names.addIfDue(views.latest, metric, "", latest);
                expiry.add(views.latest.expiresAt(latest.at()));
            });
        }
        for (int size = 0; size < views.sizes(); size++) {
            for (Map.Entry<String, Readings> each : head.windows.get(size).entrySet()) {
                long start = device.current[size].start;
                packed.addRollups(size, each.getKey(), new long[] {start}, List.of(each.getValue()));
                names.addIfDue(views.rollups[size], each.getKey(), "#" + lines.isoTime(start), each.getValue());
                expiry.add(views.rollups[size].expiresAt(start + views.windows[size].longestMs));
            }
        }
        lines.appendItem(quotedDevice, "latest" + suffix, device.version(), expiry.at(), packed.take(), names.text);
    }

    /** Appends the block of {@code windows}, which are all of it, or its parts that have metrics of {@code due} ones. */
    void appendBlock(
            String deviceId, DeviceState device, int size, TreeMap<Long, Window> windows, Collection<Window> due) {
        Map<String, List<Window>> byMetric = new TreeMap<>();
        for (Window window : windows.values()) {
            window.readings.keySet().forEach(metric -> byMetric.computeIfAbsent(metric, name -> new ArrayList<>())
                    .add(window));
        }
        int count = parts(Math.max(device.latest.size(), byMetric.size()));
        Set<Integer> parts = new TreeSet<>();
        due.forEach(window -> window.readings.keySet().forEach(metric -> parts.add(part(metric, count))));
        String sort = "rollups#" + views.windows[size].name + "#"
                + lines.isoTime(views.windows[size].blockOf(windows.firstKey()))
                + (device.knownSince == DeviceState.UNKNOWN ? "" : "#" + Math.floorDiv(device.knownSince, 1_000L));
        for (int part : parts) {
            Map<String, List<Window>> ofPart = new TreeMap<>(byMetric);
            ofPart.keySet().removeIf(metric -> part(metric, count) != part);
            appendBlock(Texts.quoted(deviceId), size, sort + suffix("#", part, count), ofPart);
        }
    }

    private void appendBlock(String quotedDevice, int size, String sort, Map<String, List<Window>> byMetric) {
        Names names = new Names();
        Expiry expiry = new Expiry();
        long version = 0;
        for (Map.Entry<String, List<Window>> each : byMetric.entrySet()) {
            String metric = each.getKey();
            long[] starts = new long[each.getValue().size()];
            List<Readings> readings = new ArrayList<>(starts.length);
            for (Window window : each.getValue()) {
                Readings held = window.readings.get(metric);
                starts[readings.size()] = window.start;
                readings.add(held);
                version += held.count;
                names.addIfDue(views.rollups[size], metric, "#" + lines.isoTime(window.start), held);
                expiry.add(views.rollups[size].expiresAt(window.start + views.windows[size].longestMs));
            }
            packed.addRollups(size, metric, starts, readings);
        }
        lines.appendItem(quotedDevice, sort, version, expiry.at(), packed.take(), names.text);
    }

    /** Appends a row of its own, which no head will hold any more; if anybody wants rows of newest readings. */
    void appendForgotten(String deviceId, String metric, Latest latest) {
        if (views.latest != null) {
            latest.changed = true;
            lines.appendIfChanged(views.latest, Texts.quoted(deviceId), metric, "", latest, latest.at());
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
        int hash = metric.hashCode();
        return (hash ^ hash >>> 16) & count - 1;
    }

    private static String suffix(String mark, int part, int count) {
        return count == 1 ? "" : mark + part + "of" + count;
    }

    /** What a part of a head holds, by metric; of windows by size, too. */
    private static final class Head {

        final Map<String, Latest> latest = new TreeMap<>();
        final List<Map<String, Readings>> windows = new ArrayList<>();

        Head(int sizes) {
            for (int size = 0; size < sizes; size++) {
                windows.add(new TreeMap<>());
            }
        }

        boolean isDue(boolean withLatest) {
            return withLatest && latest.values().stream().anyMatch(each -> each.changed)
                    || windows.stream().anyMatch(some -> some.values().stream().anyMatch(each -> each.changed));
        }
    }

    /** The sort keys of the rows that were due, as a list in JSON; each is due no more once it is in here. */
    private static final class Names {

        final StringBuilder text = new StringBuilder();

        void addIfDue(RowFormat format, String metric, String suffix, RowValues values) {
            if (values.changed) {
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
