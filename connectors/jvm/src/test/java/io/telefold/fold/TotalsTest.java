package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.telefold.Texts;
import io.telefold.view.Totals;
import java.util.Random;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TotalsTest {

    private static double deviation(Totals totals) {
        return Math.sqrt(totals.m2 / totals.count);
    }

    /** From sums of squares it would be 157, and 0 of the larger one. */
    @ParameterizedTest
    @ValueSource(doubles = {0, 5e9, 5e12})
    void theDeviationOfLargeReadingsDoesNotCancel(double around) {
        Totals totals = new Totals();
        Totals[] parts = {new Totals(), new Totals(), new Totals()};
        for (int i = 0; i < 300; i++) {
            double value = around + (i % 2 == 0 ? 173 : -173);
            totals.add(i, value, 0);
            parts[i * 7 % 11 % 3].add(i, value, 0);
        }
        Totals merged = new Totals();
        for (Totals part : parts) {
            merged.merge(part);
        }
        assertThat(deviation(totals)).isCloseTo(173, within(1e-3));
        assertThat(deviation(merged)).isCloseTo(173, within(1e-3));
    }

    @Test
    void mergingIsAddingWhateverTheParts() {
        Random random = new Random(7);
        for (int round = 0; round < 200; round++) {
            Totals whole = new Totals();
            Totals merged = new Totals();
            Totals part = new Totals();
            for (int i = random.nextInt(40); i >= 0; i--) {
                double value = random.nextGaussian() * 10 + 3;
                long at = random.nextInt(1_000);
                double rise = random.nextInt(3);
                whole.add(at, value, rise);
                part.add(at, value, rise);
                if (random.nextInt(4) == 0 || i == 0) {
                    merged.merge(part);
                    merged.merge(new Totals());
                    part = new Totals();
                }
            }
            assertThat(merged.m2).isCloseTo(whole.m2, within(1e-9 * (1 + whole.m2)));
            assertThat(merged.sum).isCloseTo(whole.sum, within(1e-9));
            assertThat(merged)
                    .usingRecursiveComparison()
                    .ignoringFields("m2", "sum")
                    .isEqualTo(whole);
        }
    }

    @Test
    void totalsAreReadAsTheyWereWritten() throws Exception {
        Totals totals = new Totals();
        totals.add(-5, 1.5, 0.25);
        totals.add(9, -2.5, 0);
        assertThat(Totals.of(totals.totalsToBytes())).usingRecursiveComparison().isEqualTo(totals);
    }

    /** Most windows of a large and slow fleet: that the state is small is why they are written by hand. */
    @Test
    void aWindowWithOneReadingIsSmallAndReadAsItWasWritten() throws Exception {
        long start = 1_769_860_800_000L;
        Window window = new Window(start);
        String id = "0".repeat(32);
        for (String metric : new String[] {"a", "b", "c", "d"}) {
            window.of(metric).add(start + 59_000, 1_234, id, 21.5, metric.equals("a") ? 0 : 0.5);
        }
        byte[] bytes = window.toBytes();
        // Start and size, then names of two bytes, one id, and of each metric a flag, a time, a sequence and the value.
        assertThat(bytes.length).isLessThanOrEqualTo(12 + 33 + 4 * (2 + 1 + 3 + 2 + 8) + 3 * 8);
        assertThat(Window.of(bytes)).usingRecursiveComparison().isEqualTo(window);
    }

    @Test
    void readingsOfManyEventsAreReadAsTheyWereWritten() throws Exception {
        Random random = new Random(11);
        for (int round = 0; round < 300; round++) {
            Window window = new Window(1_769_860_800_000L);
            for (int i = random.nextInt(30); i >= 0; i--) {
                Readings readings = window.of("m" + random.nextInt(4));
                long sequence = random.nextInt(3) == 0 ? random.nextLong() : random.nextInt(3) - 1;
                readings.add(
                        window.start + random.nextInt(60_000),
                        sequence,
                        "e" + random.nextInt(5) + "é".repeat(random.nextInt(2)),
                        random.nextGaussian(),
                        random.nextInt(2));
            }
            assertThat(Window.of(window.toBytes())).usingRecursiveComparison().isEqualTo(window);
        }
    }

    @Test
    void numbersAreReadAsTheyWereWritten() throws Exception {
        for (long number : new long[] {0, 1, 127, 128, 16_383, 16_384, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
            DataOutputSerializer out = new DataOutputSerializer(16);
            Texts.writeNumber(number, out);
            assertThat(Texts.readNumber(new DataInputDeserializer(out.getCopyOfBuffer())))
                    .isEqualTo(number);
        }
    }
}
