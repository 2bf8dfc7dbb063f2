package io.telefold.rules;

import java.time.Duration;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.StateTtlConfig.UpdateType;

/**
 * When state of a device that says nothing any more is dropped, by the machine's clock. Who has such state writes it anew
 * as long as the device is heard of, but not at every event: {@link #isDue} says when.
 */
final class StateTtl {

    /** In a tenth of the time state is written anew, and dropped a tenth later: never before the whole has passed. */
    private static final int PARTS = 10;

    private StateTtl() {}

    static StateTtlConfig of(long retentionMs) {
        return StateTtlConfig.newBuilder(Duration.ofMillis(retentionMs + retentionMs / PARTS))
                .setUpdateType(UpdateType.OnCreateAndWrite)
                .build();
    }

    /** Whether at {@code now} state that was written at {@code writtenAt} has to be written again. */
    static boolean isDue(long writtenAt, long now, long retentionMs) {
        return now - writtenAt >= retentionMs / PARTS;
    }
}
