package io.telefold.batch;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DueRowsTest {

    private static final long BEGIN = 1_000_000;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness;

    @BeforeEach
    void open() throws Exception {
        harness = open(60_000, BEGIN, null);
    }

    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> open(
            long durableMs, long now, OperatorSubtaskState snapshot) throws Exception {
        KeyedOneInputStreamOperatorTestHarness<String, Row, Row> opened = new KeyedOneInputStreamOperatorTestHarness<>(
                InstantiationUtil.clone(new DueRows(durableMs, 1_000, 4, 1_000)),
                DueRows.key(),
                Types.STRING,
                metrics.environment());
        opened.setProcessingTime(now);
        if (snapshot != null) {
            opened.initializeState(snapshot);
        }
        opened.open();
        return opened;
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private static String line(String device, int version, String to) {
        return "{\"view\":\"v\",\"partition\":\"device#" + device + "\",\"sort\":\"v\",\"version\":" + version
                + (to.isEmpty() ? "" : ",\"to\":\"" + to + "\"") + "}";
    }

    private void process(String... lines) throws Exception {
        List<Row> rows = new ArrayList<>();
        DueRows.split().flatMap(Row.of(lines.length, String.join("\n", lines)), new ListCollector<>(rows));
        for (Row row : rows) {
            harness.processElement(new StreamRecord<>(row));
        }
    }

    /** The lines that left since this was asked last. */
    private List<String> taken() {
        List<String> lines = new ArrayList<>();
        for (Row batch : harness.extractOutputValues()) {
            List<String> some = List.of(((String) batch.getField(1)).split("\n"));
            assertThat(batch.getField(0)).isEqualTo(some.size());
            lines.addAll(some);
        }
        harness.getOutput().clear();
        return lines;
    }

    @Test
    void givesTheFastStoreARowAtOnceAndTheDurableOneItsNewestWithinTheInterval() throws Exception {
        process(line("a", 1, "fast"), line("a", 2, "fast"));
        harness.setProcessingTime(BEGIN + 1_000);
        assertThat(taken()).containsExactly(line("a", 2, "fast"));
        process(line("a", 3, "fast"));
        harness.setProcessingTime(BEGIN + 61_000);
        harness.setProcessingTime(BEGIN + 62_000);
        assertThat(taken()).containsExactly(line("a", 3, "fast"), line("a", 3, "durable"));
        harness.setProcessingTime(BEGIN + 300_000);
        assertThat(taken()).isEmpty();
    }

    @Test
    void sendsEveryLineForBothStoresInItsOrderAndNothingOfBeforeIsDue() throws Exception {
        process(line("a", 1, "fast"));
        harness.setProcessingTime(BEGIN + 1_000);
        process(line("a", 2, "fast"), line("a", 3, ""), line("a", 4, ""));
        harness.setProcessingTime(BEGIN + 300_000);
        harness.setProcessingTime(BEGIN + 301_000);
        assertThat(taken()).containsExactly(line("a", 1, "fast"), line("a", 3, ""), line("a", 4, ""));
    }

    @Test
    void givesBothStoresAllAtOnceWithoutAnInterval() throws Exception {
        harness.close();
        harness = open(0, BEGIN, null);
        process(line("a", 1, "fast"), line("b", 1, ""));
        harness.setProcessingTime(BEGIN + 1_000);
        assertThat(taken()).containsExactlyInAnyOrder(line("a", 1, ""), line("b", 1, ""));
        assertThat(harness.numKeyedStateEntries()).isZero();
    }

    @Test
    void findsWhatIsDueAgainAfterAFailure() throws Exception {
        process(line("a", 1, "fast"));
        harness.prepareSnapshotPreBarrier(1);
        OperatorSubtaskState snapshot = harness.snapshot(1, 1);
        assertThat(taken()).containsExactly(line("a", 1, "fast"));
        harness.close();
        harness = open(60_000, BEGIN + 86_400_000, snapshot);
        harness.setProcessingTime(BEGIN + 86_400_001);
        harness.setProcessingTime(BEGIN + 86_402_000);
        assertThat(taken()).containsExactly(line("a", 1, "durable"));
        assertThat(harness.numKeyedStateEntries()).isZero();
    }

    @Test
    void leavesNothingDueWhenItEnds() throws Exception {
        process(line("a", 1, "fast"), line("b", 1, "fast"), line("c", 1, ""));
        harness.getOneInputOperator().finish();
        assertThat(taken())
                .containsExactlyInAnyOrder(
                        line("a", 1, "fast"),
                        line("a", 1, "durable"),
                        line("b", 1, "fast"),
                        line("b", 1, "durable"),
                        line("c", 1, ""));
        assertThat(harness.numKeyedStateEntries()).isZero();
    }

    @Test
    void flushesWhenItHoldsEnough() throws Exception {
        process(line("a", 1, ""), line("b", 1, "fast"), line("c", 1, ""), line("d", 1, "fast"), line("e", 1, ""));
        assertThat(taken()).hasSize(4);
    }

    @Test
    void tellsRowsApartByWhatOthersCallThem() throws Exception {
        List<Row> rows = new ArrayList<>();
        String first = "{\"view\":\"v\",\"data\":{\"sort\":\"x\"},\"partition\":\"device#a\\n\",\"sort\":\"v\"}";
        String second = "{\"view\":\"v\",\"data\":{\"sort\":\"x\"},\"partition\":\"device#a\",\"sort\":\"\\nv\"}";
        DueRows.split().flatMap(Row.of(2, first + "\n" + second), new ListCollector<>(rows));
        assertThat(rows.get(0).getField(0)).isNotEqualTo(rows.get(1).getField(0));
        assertThat(rows.get(1).getField(1)).isEqualTo(second);
    }
}
