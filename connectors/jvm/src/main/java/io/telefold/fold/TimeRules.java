package io.telefold.fold;

import java.io.Serializable;

/**
 * When an event comes too late, when its id may be forgotten, and when a device has been silent for too long.
 *
 * <p>All durations are in milliseconds. The horizon is how long an event_id is remembered, in the device's event time,
 * and is at least the lateness; the retentions, of a device's readings and of the device altogether, go by the arrivals of
 * its events; the largest window is that of the longest rollup.
 */
public final class TimeRules implements Serializable {

    private static final long serialVersionUID = 1L;

    private static final int IDS_A_SCAN = 32;
    private static final int IDS_A_CHUNK = 16;

    private final long horizonMs;
    private final long latenessMs;
    private final long retentionMs;
    private final long largestWindowMs;
    private final long deviceRetentionMs;
    private final int idsAScan;

    /** How many ids are remembered, and forgotten, together. */
    final int idsAChunk;

    public TimeRules(long horizonMs, long latenessMs, long retentionMs, long largestWindowMs, long deviceRetentionMs) {
        this(horizonMs, latenessMs, retentionMs, largestWindowMs, deviceRetentionMs, IDS_A_SCAN, IDS_A_CHUNK);
    }

    /** Of a device that remembered fewer than {@code idsAScan} ids since the last scan, nothing is pruned. */
    TimeRules(
            long horizonMs,
            long latenessMs,
            long retentionMs,
            long largestWindowMs,
            long deviceRetentionMs,
            int idsAScan,
            int idsAChunk) {
        this.horizonMs = horizonMs;
        this.latenessMs = latenessMs;
        this.retentionMs = retentionMs;
        this.largestWindowMs = largestWindowMs;
        this.deviceRetentionMs = deviceRetentionMs;
        this.idsAScan = idsAScan;
        this.idsAChunk = idsAChunk;
    }

    /** One sentence for the dead letter, null if the event is in time. */
    String whyTooLate(DeviceState device, long eventTime) {
        if (device.isNew()) {
            return null;
        }
        if (eventTime < device.closedBefore) {
            return String.format(
                    "event_time %d is %d ms before %d, up to which the windows of this device were closed when it had"
                            + " been silent for longer than state.retention of %d ms",
                    eventTime, device.closedBefore - eventTime, device.closedBefore, retentionMs);
        }
        if (eventTime < oldestInTime(device)) {
            return String.format(
                    "event_time %d is %d ms behind the newest event of its device, and rollup.lateness allows %d ms",
                    eventTime, device.time - eventTime, latenessMs);
        }
        return null;
    }

    /** Events of this device before this are too late. */
    long oldestInTime(DeviceState device) {
        return device.time - latenessMs;
    }

    /**
     * A metric whose newest reading is before this is forgotten once the device's clock is at {@code time}: no window
     * that is open has more names than are known.
     */
    long oldestKnown(long time) {
        return time - Math.max(latenessMs, largestWindowMs);
    }

    /** Ids of events before this need not be remembered. */
    long oldestRemembered(DeviceState device) {
        return device.time - horizonMs;
    }

    /** A scan of what is remembered is paid for by several events, which moved the clock a quarter of the horizon. */
    boolean isPruningDue(DeviceState device) {
        return device.idsSincePruned >= idsAScan && device.time - device.prunedAt > Math.max(1, horizonMs / 4);
    }

    /** Whether nothing of it arrived for too long before {@code time}, which is the arrival of its next event or earlier. */
    boolean isSilent(DeviceState device, long time) {
        return !device.isNew() && time - device.heard > retentionMs;
    }

    /** The arrival from which on an event finds that its device was silent for too long. */
    long silentAt(DeviceState device) {
        return device.heard + retentionMs + 1;
    }

    /** Whether nothing of it arrived for so long before {@code time} that it is as if it had never been. */
    boolean isGone(DeviceState device, long time) {
        return !device.isNew() && time - device.heard > deviceRetentionMs;
    }

    long goneAt(DeviceState device) {
        return device.heard + deviceRetentionMs + 1;
    }
}
