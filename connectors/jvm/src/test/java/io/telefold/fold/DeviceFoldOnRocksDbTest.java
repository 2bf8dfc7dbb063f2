package io.telefold.fold;

import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;

class DeviceFoldOnRocksDbTest extends DeviceFoldTest {

    @Override
    StateBackend backend() {
        return new EmbeddedRocksDBStateBackend();
    }
}
