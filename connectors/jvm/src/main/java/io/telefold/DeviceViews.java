package io.telefold;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** The views that devices are folded into, as {@code operators/device_views.py} describes them. */
public final class DeviceViews implements Serializable {

    private static final long serialVersionUID = 1L;

    /** How many metrics of one device are known at a time. */
    final int maxMetrics;

    /** Null if nobody wants the newest readings. */
    final RowFormat latest;

    /** The length of each window size in milliseconds. */
    final long[] windowMs;

    /** By window size. */
    final RowFormat[] rollups;

    private DeviceViews(JsonNode json) {
        maxMetrics = json.get("max_metrics").intValue();
        latest = json.get("latest").isNull() ? null : RowFormat.of(json.get("latest"));
        JsonNode sizes = json.get("rollups");
        windowMs = new long[sizes.size()];
        rollups = new RowFormat[sizes.size()];
        for (int size = 0; size < sizes.size(); size++) {
            windowMs[size] = sizes.get(size).get("window_ms").longValue();
            rollups[size] = RowFormat.of(sizes.get(size).get("row"));
        }
    }

    /** Takes a {@code DeviceViews} of {@code operators/device_views.py} as JSON. */
    public static DeviceViews parse(String json) throws IOException {
        return new DeviceViews(new ObjectMapper().readTree(json));
    }

    int sizes() {
        return rollups.length;
    }
}
