package io.telefold.event;

import java.util.Map;

/**
 * What makes a decoded event valid: the twin of {@code check_event} in {@code schemas/events.py}, same checks in the
 * same order.
 */
final class EventChecks {

    private final EventLimits limits;

    EventChecks(EventLimits limits) {
        this.limits = limits;
    }

    /** {@code corrects} and {@code correlationId} may be null; times are in epoch milliseconds. */
    void check(
            String eventId,
            String deviceId,
            String corrects,
            String type,
            String correlationId,
            long eventTime,
            Map<String, Double> metrics,
            Map<String, String> attributes,
            long arrival)
            throws RejectedEvent {
        checkId("event_id", eventId);
        checkId("device_id", deviceId);
        if (corrects != null) {
            checkId("corrects", corrects);
        }
        checkText("type", type, limits.type, Reason.TYPE_TOO_LONG);
        if (correlationId != null) {
            checkText("correlation_id", correlationId, limits.correlationId, Reason.CORRELATION_ID_TOO_LONG);
        }
        checkTime(eventTime, arrival);
        checkNumber("metrics", metrics.size(), limits.metrics, Reason.TOO_MANY_METRICS);
        for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            checkMetric(metric.getKey(), metric.getValue());
        }
        checkNumber("attributes", attributes.size(), limits.attributes, Reason.TOO_MANY_ATTRIBUTES);
        for (Map.Entry<String, String> attribute : attributes.entrySet()) {
            checkAttribute(attribute.getKey(), attribute.getValue());
        }
        if (type.equals(limits.acknowledgement)) {
            checkAcknowledgement(attributes, arrival);
        }
    }

    private void checkId(String field, String value) throws RejectedEvent {
        if (value.isEmpty()) {
            throw new RejectedEvent(Reason.EMPTY_ID, field + " is empty");
        }
        checkText(field, value, limits.id, Reason.ID_TOO_LONG);
    }

    private static void checkText(String what, String text, EventLimits.TextLimit limit, Reason reason)
            throws RejectedEvent {
        String excess = limit.excess(text);
        if (excess != null) {
            throw new RejectedEvent(reason, what + " " + excess);
        }
    }

    private static void checkNumber(String what, int number, int limit, Reason reason) throws RejectedEvent {
        if (number > limit) {
            throw new RejectedEvent(reason, number + " " + what + ", at most " + limit + " are allowed");
        }
    }

    private void checkTime(long eventTime, long arrival) throws RejectedEvent {
        if (eventTime < limits.earliestTime) {
            throw new RejectedEvent(Reason.TIME_TOO_OLD, "event_time " + eventTime + " is before the year 2000");
        }
        if (eventTime > arrival + limits.aheadOfArrivalMs) {
            throw new RejectedEvent(
                    Reason.TIME_IN_FUTURE,
                    "event_time " + eventTime + " is more than 10 min after its arrival at " + arrival);
        }
    }

    private void checkMetric(String name, double value) throws RejectedEvent {
        checkName("metric", name, limits.metricName, Reason.BAD_METRIC_NAME);
        // Written so that NaN fails it too.
        if (!(Math.abs(value) <= limits.metricMagnitude)) {
            throw new RejectedEvent(
                    Reason.BAD_METRIC_VALUE,
                    "metric " + name + " is " + value + ", not a number between -1e60 and 1e60");
        }
    }

    private void checkAttribute(String name, String value) throws RejectedEvent {
        checkName("attribute", name, limits.attributeName, Reason.BAD_ATTRIBUTE_NAME);
        checkText("attribute " + name, value, limits.attributeValue, Reason.ATTRIBUTE_TOO_LONG);
    }

    private void checkName(String of, String name, EventLimits.TextLimit limit, Reason reason) throws RejectedEvent {
        if (name.isEmpty() || limit.excess(name) != null || hasForbiddenCharacter(name)) {
            throw new RejectedEvent(
                    reason,
                    of + " names have 1 to " + limit.characters + " characters and at most " + limit.utf8Bytes
                            + " bytes in UTF-8, none of #, {, } or a control character");
        }
    }

    private boolean hasForbiddenCharacter(String name) {
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c < ' ' || limits.forbiddenInNames.indexOf(c) >= 0) {
                return true;
            }
        }
        return false;
    }

    private void checkAcknowledgement(Map<String, String> attributes, long arrival) throws RejectedEvent {
        if (!limits.ruleName.matcher(attributes.getOrDefault("rule", "")).matches()) {
            throw badAcknowledgement("attribute rule is not the name of a rule");
        }
        for (String name : new String[] {"began_at", "at"}) {
            if (attributes.containsKey(name) && !isTime(attributes.get(name))) {
                throw badAcknowledgement("attribute " + name + " is not a time in epoch milliseconds, 1 to "
                        + limits.timeDigits + " digits");
            }
        }
        if (Long.parseLong(attributes.getOrDefault("at", "0")) > arrival + limits.aheadOfArrivalMs) {
            throw badAcknowledgement("attribute at is more than 10 min after its arrival at " + arrival);
        }
    }

    private boolean isTime(String text) {
        return !text.isEmpty()
                && text.length() <= limits.timeDigits
                && text.chars().allMatch(c -> '0' <= c && c <= '9');
    }

    private static RejectedEvent badAcknowledgement(String detail) {
        return new RejectedEvent(Reason.BAD_ACKNOWLEDGEMENT, detail);
    }
}
