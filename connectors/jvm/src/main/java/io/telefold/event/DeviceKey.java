package io.telefold.event;

import org.apache.flink.api.java.functions.KeySelector;

/** Keys valid {@link Event}s by device. */
public final class DeviceKey implements KeySelector<Event, String> {

    private static final long serialVersionUID = 1L;

    @Override
    public String getKey(Event event) {
        return event.deviceId;
    }
}
