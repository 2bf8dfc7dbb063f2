package io.telefold.view;

import java.io.Serializable;
import java.time.DayOfWeek;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.temporal.TemporalAdjusters;
import java.util.Arrays;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * Where the windows of one size begin and end, in epoch milliseconds: every so many since 1970, or with each day, week,
 * month or year of a time zone, as {@code schemas/windows.py} says. A window reaches to where the next one begins.
 *
 * <p>One object serves one thread at a time.
 */
public final class WindowSize implements Serializable {

    private static final long serialVersionUID = 1L;
    private static final long DAY_MS = 86_400_000;
    private static final int SLOTS = 16;

    /** So many windows fill a block, if none is shorter than the longest. */
    private static final int BLOCK_WINDOWS = 20;

    /** As it is written in the keys of rows. */
    public final String name;

    /** How long the longest window of this size can be; all are as long but those of a time zone. */
    public final long longestMs;

    /** "d", "w", "mo" or "y"; null if the windows are all of one length. */
    private final String unit;

    private final ZoneId zone;

    /** Of the windows of a calendar that were asked for last, one for each of some days. */
    private transient long[] starts;

    private transient long[] ends;

    private WindowSize(String name, long longestMs, String unit, ZoneId zone) {
        this.name = name;
        this.longestMs = longestMs;
        this.unit = unit;
        this.zone = zone;
    }

    static WindowSize of(JsonNode json) {
        String name = json.get("size").textValue();
        long longestMs = json.get("window_ms").longValue();
        JsonNode calendar = json.get("calendar");
        if (calendar.isNull()) {
            return new WindowSize(name, longestMs, null, null);
        }
        return new WindowSize(
                name,
                longestMs,
                calendar.get("unit").textValue(),
                ZoneId.of(calendar.get("zone").textValue()));
    }

    /** From where a block begins to where the next one does. */
    public long blockMs() {
        return BLOCK_WINDOWS * longestMs;
    }

    /** Where the block begins that holds the window which begins at {@code start}; by no calendar. */
    public long blockOf(long start) {
        return start - Math.floorMod(start, BLOCK_WINDOWS * longestMs);
    }

    /** The first window that begins in the block which begins at {@code block}. */
    public long firstOf(long block) {
        long start = startOf(block);
        return start < block ? endOf(block) : start;
    }

    /** Where a window ends at the latest that is in one block with the window which begins at {@code start}. */
    public long blockEnd(long start) {
        return blockOf(start) + (BLOCK_WINDOWS + 1) * longestMs;
    }

    /** Of the window that holds {@code at}. */
    public long startOf(long at) {
        if (unit == null) {
            return at - Math.floorMod(at, longestMs);
        }
        int slot = slot(at);
        return starts[slot];
    }

    /** Of the window that holds {@code at}: where the next one begins. */
    public long endOf(long at) {
        if (unit == null) {
            return startOf(at) + longestMs;
        }
        int slot = slot(at);
        return ends[slot];
    }

    /** Where the window that holds {@code at} is. */
    private int slot(long at) {
        if (starts == null) {
            starts = new long[SLOTS];
            ends = new long[SLOTS];
            Arrays.fill(starts, Long.MAX_VALUE);
        }
        int slot = (int) Math.floorMod(Math.floorDiv(at, DAY_MS), (long) SLOTS);
        if (at < starts[slot] || at >= ends[slot]) {
            find(at, slot);
        }
        return slot;
    }

    /**
     * By the dates of the zone. A clock that is put back over midnight shows the old date again, in the window of the new
     * one, which has begun: a window begins once.
     */
    private void find(long at, int slot) {
        LocalDate first = firstDay(Instant.ofEpochMilli(at).atZone(zone).toLocalDate());
        LocalDate next = following(first);
        while (beginning(next) <= at) {
            first = next;
            next = following(first);
        }
        starts[slot] = beginning(first);
        ends[slot] = beginning(next);
    }

    private LocalDate firstDay(LocalDate date) {
        switch (unit) {
            case "d":
                return date;
            case "w":
                return date.with(TemporalAdjusters.previousOrSame(DayOfWeek.MONDAY));
            case "mo":
                return date.withDayOfMonth(1);
            case "y":
                return date.withDayOfYear(1);
            default:
                throw new IllegalArgumentException("there are no windows of " + unit);
        }
    }

    private LocalDate following(LocalDate first) {
        switch (unit) {
            case "d":
                return first.plusDays(1);
            case "w":
                return first.plusWeeks(1);
            case "mo":
                return first.plusMonths(1);
            default:
                return first.plusYears(1);
        }
    }

    /** Where midnight is left out the day begins with what comes after it. */
    private long beginning(LocalDate date) {
        return date.atStartOfDay(zone).toInstant().toEpochMilli();
    }
}
