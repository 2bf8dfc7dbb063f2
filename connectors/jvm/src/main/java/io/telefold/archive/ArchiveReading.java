package io.telefold.archive;

import io.telefold.event.SequenceOrder;
import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

/** What an {@code EventSource} reads of an archive, and what it does at its end. Times are in epoch milliseconds. */
public final class ArchiveReading implements Serializable {

    private static final long serialVersionUID = 1L;

    public final String path;

    /** Where each shard's stream takes over; null if the stream is not read at all. */
    public final HashMap<String, String> positions;

    /** How long after a listing the next one follows; 0 if there is one only. */
    public final long pollMs;

    public final long sinceMs;
    public final long untilMs;

    /** The only device whose events are emitted; null for every record. */
    public final String deviceId;

    /** Whether records that the archive lacks are passed over, or end the reading. */
    public final boolean despiteHoles;

    private ArchiveReading(
            String path,
            Map<String, String> positions,
            long pollMs,
            long sinceMs,
            long untilMs,
            String deviceId,
            boolean despiteHoles) {
        if (path.isEmpty()) {
            throw new IllegalArgumentException("an archive needs a path");
        }
        this.path = path;
        this.positions = positions == null ? null : new HashMap<>(positions);
        this.pollMs = pollMs;
        this.sinceMs = sinceMs;
        this.untilMs = untilMs;
        this.deviceId = deviceId;
        this.despiteHoles = despiteHoles;
    }

    /** The same, but records that the archive lacks are passed over with a warning. */
    public ArchiveReading despiteHoles() {
        return new ArchiveReading(path, positions, pollMs, sinceMs, untilMs, deviceId, true);
    }

    /**
     * Every record up to {@code positions}, shard -> position of the last, and then the stream behind them. The
     * stream of a shard that is not named is read from its beginning, and none of its archive.
     */
    public static ArchiveReading upTo(String path, Map<String, String> positions) {
        positions.forEach((shard, position) -> {
            if (!SequenceOrder.isPosition(position)) {
                throw new IllegalArgumentException(shard + " has no record at " + position);
            }
        });
        return new ArchiveReading(path, positions, 0, Long.MIN_VALUE, Long.MAX_VALUE, null, false);
    }

    /** Every record, and those of files still to come, for ever; never the stream. */
    public static ArchiveReading follow(String path, long pollMs) {
        if (pollMs <= 0) {
            throw new IllegalArgumentException("the archive must be listed every 1 ms at most, not " + pollMs);
        }
        return new ArchiveReading(path, null, pollMs, Long.MIN_VALUE, Long.MAX_VALUE, null, false);
    }

    /**
     * The records that arrived in [sinceMs, untilMs), and then the end; never the stream. With a device, only its valid
     * events. What is missing of them is not told.
     */
    public static ArchiveReading range(String path, long sinceMs, long untilMs, String deviceIdOrNull) {
        if (sinceMs >= untilMs) {
            throw new IllegalArgumentException("there is no time from " + sinceMs + " until " + untilMs);
        }
        return new ArchiveReading(path, null, 0, sinceMs, untilMs, deviceIdOrNull, false);
    }

    public boolean goesOnWithTheStream() {
        return positions != null;
    }

    public boolean goesOnWithNewFiles() {
        return pollMs > 0;
    }

    /** Whether anything is to be read of a shard's archive. */
    public boolean hasLane(String shard) {
        return positions == null || positions.containsKey(shard);
    }

    /** The last record to be read of a shard's archive; null for all. */
    public String end(String shard) {
        return positions == null ? null : positions.get(shard);
    }
}
