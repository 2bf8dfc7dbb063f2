package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.view.Totals;
import java.util.Map;
import org.apache.flink.util.StringUtils;
import org.junit.jupiter.api.Test;

/**
 * What checkpoints hold. Other bytes than these are another form of state, which a build must refuse or read: of a device
 * {@code DeviceState.FORMAT} is raised, and the CHANGELOG says that state of earlier builds does not fit.
 */
class StateBytesTest {

    private static final long START = 1_769_860_800_000L;

    private static final String OF_A_DEVICE =
            "070000019c13ec9e090000019c13ec9dff0000019c13ec9e0a000000010000019c13ec9e070000019c13ec9e00000000"
                    + "02010000019c13ec9e0b800000000000000080000000000000008000000000000000800000000000"
                    + "00007fffffffffffffff0000000101740000019c13ec9e09000000000000000340040000000000000100026532010000"
                    + "019c13ec9e000000000201740040100000000000000102026531bff80000000000000906026532400400000000000002"
                    + "3ff0000000000000bff80000000000004004000000000000402000000000000001750d0906026532401c000000000000"
                    + "00000000020265310265320000019c13ec9e0900000000000000000000000000";

    /** As builds wrote it before anything was due. */
    private static final String OF_A_DEVICE_WITHOUT_DUE_ITEMS =
            "060000019c13ec9e090000019c13ec9dff0000019c13ec9e0a000000010000019c13ec9e070000019c13ec9e00000000"
                    + "02010000019c13ec9e0b0000000101740000019c13ec9e09000000000000000340040000000000000100026532010000"
                    + "019c13ec9e000000000201740040100000000000000102026531bff80000000000000906026532400400000000000002"
                    + "3ff0000000000000bff80000000000004004000000000000402000000000000001750d0906026532401c000000000000"
                    + "00000000020265310265320000019c13ec9e0900000000000000000000000000";

    /** As builds wrote it before items had versions. */
    private static final String OF_A_DEVICE_BEFORE =
            "050000019c13ec9e090000019c13ec9dff0000019c13ec9e0a0000019c13ec9e0000000002010000019c13ec9e0b0000"
                    + "000101740000019c13ec9e09000000000000000340040000000000000100026532010000019c13ec9e00000000020174"
                    + "0040100000000000000102026531bff800000000000009060265324004000000000000023ff0000000000000bff80000"
                    + "000000004004000000000000402000000000000001750d0906026532401c000000000000000000000202653102653200"
                    + "00019c13ec9e0900000000000000000000000000";

    private static final String OF_A_GROUP =
            "00000000000000023ff0000000000000bff8000000000000400400000000000040200000000000000000019c13ec9e01"
                    + "0000019c13ec9e094010000000000000";

    @Test
    void aDeviceIsKeptInTheBytesOfItsFormat() throws Exception {
        DeviceState state = new DeviceState(2);
        state.time = START + 9;
        state.closedBefore = START - 1;
        state.heardAt(START + 10);
        state.heardAt(START + 7);
        state.knownSince = START + 7;
        state.prunedAt = START;
        state.idsSincePruned = 2;
        state.judged = true;
        state.wakeAt = START + 11;
        Latest latest = new Latest();
        latest.offer(START + 9, 3, "e2", 2.5);
        state.latest.put("t", latest);
        state.current[0] = new Window(START);
        state.current[0].of("t").add(START + 1, 1, "e1", -1.5, 0);
        state.current[0].of("t").add(START + 9, 3, "e2", 2.5, 4);
        state.current[0].of("u").add(START + 9, 3, "e2", 7, 0);
        state.ids.add("e1", START + 1, 100);
        state.ids.add("e2", START + 9, 100);
        assertThat(StringUtils.byteToHexString(state.toBytes())).isEqualTo(OF_A_DEVICE);
    }

    @Test
    void aDeviceOfEarlierBuildsIsRead() throws Exception {
        DeviceState state = DeviceState.of(StringUtils.hexStringToByte(OF_A_DEVICE_BEFORE), 2);
        assertThat(state.version()).isEqualTo((START + 10) << 20);
        state.heardAt(START + 10);
        state.knownSince = START + 7;
        assertThat(StringUtils.byteToHexString(state.toBytes())).isEqualTo(OF_A_DEVICE);
    }

    @Test
    void aDeviceOfBeforeAnythingWasDueIsRead() throws Exception {
        DeviceState state = DeviceState.of(StringUtils.hexStringToByte(OF_A_DEVICE_WITHOUT_DUE_ITEMS), 2);
        assertThat(StringUtils.byteToHexString(state.toBytes())).isEqualTo(OF_A_DEVICE);
    }

    @Test
    void whatIsDueIsKept() throws Exception {
        DeviceState state = new DeviceState(2);
        state.due.at = START + 5;
        state.due.since = START;
        state.due.metrics = 9;
        state.due.heldFrom[1] = START;
        state.due.headHeldFrom[0] = START + 2;
        state.due.addBlock(0, START, true);
        state.due.addBlock(0, START, false);
        state.due.addBlock(1, START + 1, false);
        DeviceState read = DeviceState.of(state.toBytes(), 2);
        assertThat(read.toBytes()).isEqualTo(state.toBytes());
        assertThat(read.due.blocks(0)).isEqualTo(Map.of(START, true));
        assertThat(read.due.blocks(1)).isEqualTo(Map.of(START + 1, false));
        assertThat(read.due.heldFrom).containsExactly(Long.MIN_VALUE, START);
        assertThat(read.due.headHeldFrom).containsExactly(START + 2, Long.MIN_VALUE);
        read.due.clear();
        assertThat(DeviceState.of(read.toBytes(), 2).due.at).isEqualTo(DueItems.NEVER);
    }

    @Test
    void theVersionOfADeviceGrowsWithEveryEventWhateverItsArrival() {
        DeviceState state = new DeviceState(1);
        long before = state.version();
        for (long arrival : new long[] {START, START, START - 9, START + 1, START, START + 2}) {
            state.heardAt(arrival);
            assertThat(state.version()).isGreaterThan(before);
            before = state.version();
        }
    }

    @Test
    void aGroupIsKeptInTheSameBytesAsEver() throws Exception {
        Totals totals = new Totals();
        totals.add(START + 1, -1.5, 0);
        totals.add(START + 9, 2.5, 4);
        assertThat(StringUtils.byteToHexString(totals.totalsToBytes())).isEqualTo(OF_A_GROUP);
    }
}
