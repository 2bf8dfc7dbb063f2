package io.telefold;

import java.util.Map;

/**
 * What makes a decoded event valid: the twin of {@code check_event} in {@code schemas/events.py}, same checks in the
 * same order. Characters are code points, as Python counts them.
 */
final class EventChecks {

    static final int MAX_ID_CHARACTERS = 256;
    static final int MAX_METRICS = 1_000;
    static final int MAX_METRIC_NAME_CHARACTERS = 128;
    static final double MAX_METRIC_MAGNITUDE = 1e60;
    static final long EARLIEST_EVENT_TIME = 946_684_800_000L;
    static final long MAX_AHEAD_OF_ARRIVAL_MS = 600_000;

    private EventChecks() {}

    /** {@code corrects} is null for all but corrections; times are in epoch milliseconds. */
    static void check(
            String eventId,
            String deviceId,
            String corrects,
            long eventTime,
            Map<String, Double> metrics,
            long arrival)
            throws RejectedEvent {
        checkId("event_id", eventId);
        checkId("device_id", deviceId);
        if (corrects != null) {
            checkId("corrects", corrects);
        }
        checkTime(eventTime, arrival);
        if (metrics.size() > MAX_METRICS) {
            throw new RejectedEvent(
                    Reason.TOO_MANY_METRICS, metrics.size() + " metrics, at most " + MAX_METRICS + " are allowed");
        }
        for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            checkMetric(metric.getKey(), metric.getValue());
        }
    }

    private static void checkId(String field, String value) throws RejectedEvent {
        if (value.isEmpty()) {
            throw new RejectedEvent(Reason.EMPTY_ID, field + " is empty");
        }
        if (isLongerThan(MAX_ID_CHARACTERS, value)) {
            throw new RejectedEvent(
                    Reason.ID_TOO_LONG,
                    field + " has " + characters(value) + " characters, at most " + MAX_ID_CHARACTERS
                            + " are allowed");
        }
    }

    private static void checkTime(long eventTime, long arrival) throws RejectedEvent {
        if (eventTime < EARLIEST_EVENT_TIME) {
            throw new RejectedEvent(Reason.TIME_TOO_OLD, "event_time " + eventTime + " is before the year 2000");
        }
        if (eventTime > arrival + MAX_AHEAD_OF_ARRIVAL_MS) {
            throw new RejectedEvent(
                    Reason.TIME_IN_FUTURE,
                    "event_time " + eventTime + " is more than 10 min after its arrival at " + arrival);
        }
    }

    private static void checkMetric(String name, double value) throws RejectedEvent {
        if (name.isEmpty() || isLongerThan(MAX_METRIC_NAME_CHARACTERS, name) || hasForbiddenCharacter(name)) {
            throw new RejectedEvent(
                    Reason.BAD_METRIC_NAME,
                    "metric names have 1 to " + MAX_METRIC_NAME_CHARACTERS
                            + " characters, none of #, {, } or a control character");
        }
        // Written so that NaN fails it too.
        if (!(Math.abs(value) <= MAX_METRIC_MAGNITUDE)) {
            throw new RejectedEvent(
                    Reason.BAD_METRIC_VALUE,
                    "metric " + name + " is " + value + ", not a number between -1e60 and 1e60");
        }
    }

    private static boolean hasForbiddenCharacter(String name) {
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c < ' ' || c == '#' || c == '{' || c == '}') {
                return true;
            }
        }
        return false;
    }

    private static boolean isLongerThan(int limit, String value) {
        return value.length() > limit && characters(value) > limit;
    }

    private static int characters(String value) {
        return value.codePointCount(0, value.length());
    }
}
