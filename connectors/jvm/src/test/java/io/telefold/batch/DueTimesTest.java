package io.telefold.batch;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DueTimesTest {

    private static final long HOUR = 1_769_860_800_000L;
    private static final int INTERVAL_S = 300;
    private static final int DEVICES = 300_000;

    private static long next(int device, long now) {
        return DueTimes.next("device-" + device, now, INTERVAL_S * 1_000L);
    }

    /** Else all devices that report on the hour would be written in one second. */
    @Test
    void whatIsDueOfManyDevicesIsSpreadOverTheInterval() {
        int[] bySecond = new int[INTERVAL_S];
        for (int device = 0; device < DEVICES; device++) {
            long at = next(device, HOUR);
            assertThat(at).isBetween(HOUR + 1, HOUR + INTERVAL_S * 1_000L);
            bySecond[(int) ((at - HOUR - 1) / 1_000)]++;
        }
        int mean = DEVICES / INTERVAL_S;
        for (int devices : bySecond) {
            assertThat(devices).isBetween(mean * 3 / 4, mean * 5 / 4);
        }
    }

    @Test
    void aDeviceIsDueAnIntervalAfterItWasDueBefore() {
        for (int device = 0; device < 100; device++) {
            long at = next(device, HOUR);
            assertThat(next(device, at - 1)).isEqualTo(at);
            assertThat(next(device, at)).isEqualTo(at + INTERVAL_S * 1_000L);
        }
    }
}
