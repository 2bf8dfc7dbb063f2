package io.telefold.fold;

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

    /** Takes one that is not here, and returns those for which there is no room any more. */
    Map<String, DeviceState> put(String deviceId, DeviceState device) {
        device.cachedBytes = device.weight();
        bytes += device.cachedBytes;
        devices.put(deviceId, device);
        return bytes > maxBytes ? dropOldest() : Map.of();
    }

    private Map<String, DeviceState> dropOldest() {
        Map<String, DeviceState> dropped = new LinkedHashMap<>();
        for (Iterator<Map.Entry<String, DeviceState>> oldest =
                        devices.entrySet().iterator();
                bytes > maxBytes; ) {
            Map.Entry<String, DeviceState> each = oldest.next();
            dropped.put(each.getKey(), each.getValue());
            bytes -= each.getValue().cachedBytes;
            oldest.remove();
        }
        return dropped;
    }
}
