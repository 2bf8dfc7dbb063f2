package io.telefold;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.types.Row;

/**
 * Folds readings of the same device, metric and base window into one row before they are shuffled and folded by SQL.
 * Takes valid rows of {@link EventRow}, emits rows of {@link PartialRow}: several for a window, each reading in exactly
 * one of them.
 */
public class Combine extends FlushingOperator {

    private static final long serialVersionUID = 1L;

    private final long baseWindowMs;
    private final int maxCells;
    private transient Map<Window, Readings> cells;

    /** Is full with {@code maxCells} windows of a device's metric. */
    public Combine(long baseWindowMs, long intervalMs, int maxCells) {
        super(intervalMs);
        if (baseWindowMs <= 0) {
            throw new IllegalArgumentException("the base window must be at least 1 ms, not " + baseWindowMs);
        }
        this.baseWindowMs = baseWindowMs;
        this.maxCells = maxCells;
    }

    @Override
    void clear() {
        cells = new HashMap<>();
    }

    @Override
    void add(Row row) throws Exception {
        add((String) row.getField(EventRow.DEVICE_ID), row);
    }

    /** Adds the readings of an event to the windows of {@code device}, or of whatever else is folded like one. */
    final void add(String device, Row row) {
        long eventTime = (Long) row.getField(EventRow.EVENT_TIME);
        long sequence = (Long) row.getField(EventRow.SEQUENCE);
        long start = eventTime - Math.floorMod(eventTime, baseWindowMs);
        @SuppressWarnings("unchecked")
        Map<String, Double> metrics = (Map<String, Double>) row.getField(EventRow.METRICS);
        for (Map.Entry<String, Double> metric : metrics.entrySet()) {
            cells.computeIfAbsent(new Window(device, metric.getKey(), start), window -> new Readings())
                    .add(eventTime, sequence, metric.getValue());
        }
    }

    @Override
    boolean isEmpty() {
        return cells.isEmpty();
    }

    @Override
    boolean isFull() {
        return cells.size() >= maxCells;
    }

    @Override
    void emitAll() {
        cells.forEach((window, readings) -> emit(readings.toRow(window), 1));
    }

    /** Comparable, so that those for which somebody chose texts of equal hash codes are a tree in their map and no list. */
    static final class Window implements Comparable<Window> {

        final String device;
        final String metric;
        final long start;
        final int hash;

        Window(String device, String metric, long start) {
            this.device = device;
            this.metric = metric;
            this.start = start;
            this.hash = (device.hashCode() * 31 + metric.hashCode()) * 31 + Long.hashCode(start);
        }

        @Override
        public int hashCode() {
            return hash;
        }

        @Override
        public boolean equals(Object other) {
            if (!(other instanceof Window)) {
                return false;
            }
            Window that = (Window) other;
            return start == that.start && metric.equals(that.metric) && device.equals(that.device);
        }

        @Override
        public int compareTo(Window that) {
            int order = metric.compareTo(that.metric);
            order = order != 0 ? order : device.compareTo(that.device);
            return order != 0 ? order : Long.compare(start, that.start);
        }
    }

    private static final class Readings {

        private long count;
        private double sum;
        private double min = Double.POSITIVE_INFINITY;
        private double max = Double.NEGATIVE_INFINITY;
        private double sumOfSquares;
        private long firstAt = Long.MAX_VALUE;
        private long lastAt = Long.MIN_VALUE;
        private long lastSequence;
        private double last;

        void add(long eventTime, long sequence, double value) {
            if (count == 0 || isAfterLast(eventTime, sequence, value)) {
                lastAt = eventTime;
                lastSequence = sequence;
                last = value;
            }
            count++;
            sum += value;
            sumOfSquares += value * value;
            min = Math.min(min, value);
            max = Math.max(max, value);
            firstAt = Math.min(firstAt, eventTime);
        }

        /** Where time and sequence are the same, as the texts of {@link PartialRow#last} compare: see there. */
        private boolean isAfterLast(long eventTime, long sequence, double value) {
            if (eventTime != lastAt) {
                return eventTime > lastAt;
            }
            if (sequence != lastSequence) {
                return sequence > lastSequence;
            }
            return Double.toString(value).compareTo(Double.toString(last)) > 0;
        }

        Row toRow(Window window) {
            return Row.of(
                    window.device,
                    window.metric,
                    window.start,
                    count,
                    sum,
                    min,
                    max,
                    sumOfSquares,
                    firstAt,
                    lastAt,
                    PartialRow.last(lastAt, lastSequence, last));
        }
    }
}
