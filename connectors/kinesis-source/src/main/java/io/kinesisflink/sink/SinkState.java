package io.kinesisflink.sink;

import java.util.List;

/** What one subtask has been given and Kinesis has not taken, at a checkpoint. */
public final class SinkState {

    private final List<PutEntry> entries;

    SinkState(List<PutEntry> entries) {
        this.entries = entries;
    }

    /** In the order in which they go, as far as they have one partition key. */
    List<PutEntry> entries() {
        return entries;
    }
}
