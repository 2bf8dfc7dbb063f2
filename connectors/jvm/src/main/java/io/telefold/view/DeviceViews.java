package io.telefold.view;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** The views that devices, or groups of them, are folded into, as {@code operators/device_views.py} describes them. */
public final class DeviceViews implements Serializable {

    private static final long serialVersionUID = 1L;

    /** How many metrics of one device are known at a time. */
    public final int maxMetrics;

    /** Null if nobody wants the newest readings. */
    public final RowFormat latest;

    public final WindowSize[] windows;

    /** By window size. */
    public final RowFormat[] rollups;

    private DeviceViews(JsonNode json) {
        maxMetrics = json.get("max_metrics").intValue();
        latest = json.get("latest").isNull() ? null : RowFormat.of(json.get("latest"));
        JsonNode sizes = json.get("rollups");
        windows = new WindowSize[sizes.size()];
        rollups = new RowFormat[sizes.size()];
        for (int size = 0; size < sizes.size(); size++) {
            windows[size] = WindowSize.of(sizes.get(size));
            rollups[size] = RowFormat.of(sizes.get(size).get("row"));
        }
    }

    /** Takes a {@code DeviceViews} of {@code operators/device_views.py} as JSON. */
    public static DeviceViews parse(String json) throws IOException {
        return new DeviceViews(new ObjectMapper().readTree(json));
    }

    public int sizes() {
        return rollups.length;
    }

    /** From where on no event, whatever it is, falls into a window that holds one of {@code time} or before. */
    public long nextWindows(long time) {
        long end = time + 1;
        for (WindowSize size : windows) {
            end = Math.max(end, size.endOf(time));
        }
        return end;
    }
}
