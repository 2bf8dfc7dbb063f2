package io.telefold.fold;

import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;

/** Every replay once more, each device read from RocksDB before an event and written after it. */
class DeviceFoldReplayFromStateTest extends DeviceFoldReplayTest {

    @Override
    int maxRows() {
        return 1;
    }

    @Override
    long cacheBytes() {
        return 0;
    }

    @Override
    StateBackend backend() {
        return new EmbeddedRocksDBStateBackend();
    }
}
