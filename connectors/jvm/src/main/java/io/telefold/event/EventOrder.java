package io.telefold.event;

import io.telefold.Texts;

/** The order of a device's events: by time, then sequence, then event_id by code points, as Python and UTF-8 order texts. */
public final class EventOrder {

    private EventOrder() {}

    public static boolean isBefore(
            long at, long sequence, String eventId, long otherAt, long otherSequence, String otherId) {
        if (at != otherAt) {
            return at < otherAt;
        }
        return sequence != otherSequence ? sequence < otherSequence : Texts.compareByCodePoints(eventId, otherId) < 0;
    }
}
