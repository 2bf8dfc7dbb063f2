package io.telefold;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Devices that were flushed last, as they are in state, so that one that reports often is not read again. Takes about
 * so many bytes of the heap, and drops those that were flushed longest ago.
 */
final class DeviceCache {

    private final long maxBytes;
    private final Map<String, DeviceState> devices = new LinkedHashMap<>();
    private long bytes;

    DeviceCache(long maxBytes) {
        this.maxBytes = maxBytes;
    }

    /** The device, which the caller may change and has to put back; null if it is not here. */
    DeviceState take(String deviceId) {
        DeviceState device = devices.remove(deviceId);
        if (device != null) {
            bytes -= device.cachedBytes;
        }
        return device;
    }

    /** Takes one that is not here. */
    void put(String deviceId, DeviceState device) {
        device.cachedBytes = device.weight();
        bytes += device.cachedBytes;
        devices.put(deviceId, device);
        for (Iterator<DeviceState> oldest = devices.values().iterator(); bytes > maxBytes && oldest.hasNext(); ) {
            bytes -= oldest.next().cachedBytes;
            oldest.remove();
        }
    }
}
