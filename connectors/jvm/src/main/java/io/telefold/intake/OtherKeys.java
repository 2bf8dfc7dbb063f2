package io.telefold.intake;

import io.telefold.Texts;
import io.telefold.event.Event;

/**
 * Finds events whose partition key is not their device, and words for them: one a minute, so that a producer that makes its
 * keys up does not fill the log. Events of such a device lie in several shards, in no order.
 */
final class OtherKeys {

    private static final long QUIET_MS = 60_000;
    private static final int MAX_CHARACTERS = 64;

    private long quietUntil = Long.MIN_VALUE;
    private long unsaid;

    /** Of a valid event. */
    static boolean has(Event event) {
        return !event.deviceId.equals(event.partitionKey);
    }

    /** What the log is to say of {@code event} at {@code now} (any clock's milliseconds), null if it said so already. */
    String line(Event event, long now) {
        if (now < quietUntil) {
            unsaid++;
            return null;
        }
        quietUntil = now + QUIET_MS;
        long others = unsaid;
        unsaid = 0;
        return "partition key is not the device: the device's events have no order among shards"
                + " device=\"" + inShort(event.deviceId) + "\""
                + " key=\"" + inShort(event.partitionKey) + "\""
                + (others == 0 ? "" : " unsaid=" + others);
    }

    private static String inShort(String text) {
        if (text.codePointCount(0, text.length()) <= MAX_CHARACTERS) {
            return Texts.quoted(text);
        }
        return Texts.quoted(text.substring(0, text.offsetByCodePoints(0, MAX_CHARACTERS))) + "…";
    }
}
