package io.telefold.fold;

import org.apache.flink.contrib.streaming.state.EmbeddedRocksDBStateBackend;
import org.apache.flink.runtime.state.StateBackend;

class DeviceFoldOnRocksDbTest extends DeviceFoldTest {

    @Override
    StateBackend backend() {
        return new EmbeddedRocksDBStateBackend();
    }
}
