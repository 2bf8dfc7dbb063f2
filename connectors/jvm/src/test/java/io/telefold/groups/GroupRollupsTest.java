package io.telefold.groups;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.CapturedMetrics;
import io.telefold.view.DeviceViews;
import io.telefold.view.RowLines;
import io.telefold.view.Totals;
import io.telefold.view.WindowSize;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

public class GroupRollupsTest {

    private static final long MINUTE = 60_000;
    private static final long HOUR = 60 * MINUTE;
    private static final long DAY = 24 * HOUR;
    private static final long KEPT = DAY;
    private static final long T = 20_000 * DAY;

    private final CapturedMetrics metrics = new CapturedMetrics();
    private DeviceViews views;
    private KeyedOneInputStreamOperatorTestHarness<String, Row, Row> harness;
    private Map<String, JsonNode> stored;

    /** Rollups of groups, as {@code operators/device_views.py} describes them. */
    public static DeviceViews views(Long retentionSeconds, String... sizes) throws IOException {
        List<String> rollups = new ArrayList<>();
        for (String size : sizes) {
            long length = size.endsWith("h") ? HOUR : MINUTE;
            rollups.add(String.format(
                    "{'size': '%s', 'window_ms': %d, 'calendar': null, 'row': {'view': 'rollups', 'partition_prefix': 'fleet#',"
                            + " 'sort_prefix': 'rollup#%s#', 'version': 'count', 'retention_s': %s, 'data': {'count': 'count',"
                            + " 'sum': 'sum', 'min': 'min', 'max': 'max', 'm2': 'm2', 'first_at': 'first_at',"
                            + " 'last_at': 'last_at', 'increase': 'increase'}}}",
                    size, length, size, retentionSeconds));
        }
        String json = "{'max_metrics': 9, 'latest': null, 'rollups': [" + String.join(",", rollups) + "]}";
        return DeviceViews.parse(json.replace('\'', '"'));
    }

    @BeforeEach
    void start() throws Exception {
        views = views(KEPT / 1_000, "1m", "1h");
        stored = new TreeMap<>();
        start(null);
    }

    @AfterEach
    void close() throws Exception {
        harness.close();
    }

    private void start(OperatorSubtaskState state) throws Exception {
        harness = new KeyedOneInputStreamOperatorTestHarness<>(
                InstantiationUtil.clone(new GroupRollups(views, KEPT, 1_000, 100)),
                GroupRollups.key(),
                Types.STRING,
                metrics.environment());
        harness.setup(RowLines.batchType()
                .createSerializer(harness.getExecutionConfig().getSerializerConfig()));
        if (state != null) {
            harness.initializeState(state);
        }
        harness.open();
    }

    private void restart() throws Exception {
        flush();
        OperatorSubtaskState state = harness.snapshot(1, 1);
        harness.close();
        start(state);
    }

    private void partial(String size, String group, String metric, long start, double... values) throws Exception {
        WindowSize windowSize = views.windows[size.equals("1m") ? 0 : 1];
        Totals totals = new Totals();
        for (double value : values) {
            totals.add(start + totals.count, value, 1);
        }
        String key = PartialRow.key(size, metric, GroupRollups.block(windowSize, start), group);
        harness.processElement(PartialRow.of(key, start, totals), 0);
    }

    /** Rows as a store has them, no version of which may fall. */
    private void flush() throws Exception {
        harness.prepareSnapshotPreBarrier(1);
        for (Row batch : harness.extractOutputValues()) {
            String[] lines = ((String) batch.getField(1)).split("\n");
            assertThat(batch.getField(0)).isEqualTo(lines.length);
            for (String line : lines) {
                JsonNode row = new ObjectMapper().readTree(line);
                JsonNode before = stored.put(
                        row.get("partition").textValue() + " " + row.get("sort").textValue(), row);
                assertThat(before == null
                                || before.get("version").longValue()
                                        <= row.get("version").longValue())
                        .isTrue();
            }
        }
        harness.getOutput().clear();
    }

    private String data(String group, String sort) {
        return stored.get("fleet#" + group + " " + sort).get("data").toString();
    }

    @Test
    void whatTasksHaveOfAGroupIsOneRow() throws Exception {
        partial("1m", "site#a#b", "t", T, 1, 2);
        partial("1m", "all", "t", T, 7);
        partial("1m", "site#a#b", "t", T, 4);
        flush();
        partial("1m", "site#a#b", "t", T, 5);
        flush();
        assertThat(data("site#a#b", "rollup#1m#t#2024-10-04T00:00:00Z"))
                .isEqualTo("{\"count\":4,\"sum\":12.0,\"min\":1.0,\"max\":5.0,\"m2\":10.0,\"first_at\":1728000000000,"
                        + "\"last_at\":1728000000001,\"increase\":4.0}");
        JsonNode row = stored.get("fleet#site#a#b rollup#1m#t#2024-10-04T00:00:00Z");
        assertThat(row.get("version").longValue()).isEqualTo(4);
        assertThat(row.get("expires_at").longValue()).isEqualTo((T + MINUTE + KEPT) / 1_000);
        assertThat(stored).hasSize(2);
    }

    @Test
    void aRestartLosesNothing() throws Exception {
        partial("1h", "all", "t", T, 1, 2);
        restart();
        partial("1h", "all", "t", T, 3);
        flush();
        assertThat(data("all", "rollup#1h#t#2024-10-04T00:00:00Z")).startsWith("{\"count\":3,\"sum\":6.0,");
    }

    /** Of a day's windows the state stays until the rows of the last have ended; no clock but that of the log counts. */
    @Test
    void aWindowIsKnownUntilItsRowsEnd() throws Exception {
        partial("1m", "all", "t", T, 1, 2, 3);
        assertThat(metrics.count("groupRowsBegun")).isEqualTo(1);
        restart();
        harness.setProcessingTime(1_000 * DAY);
        harness.setStateTtlProcessingTime(1_000 * DAY);
        harness.processWatermark(new Watermark(T + MINUTE + KEPT - 1));
        partial("1m", "all", "t", T, 4);
        flush();
        assertThat(data("all", "rollup#1m#t#2024-10-04T00:00:00Z")).startsWith("{\"count\":4,\"sum\":10.0,");
        assertThat(harness.numKeyedStateEntries()).isPositive();
        harness.processWatermark(new Watermark(T + DAY + MINUTE + KEPT));
        assertThat(harness.numKeyedStateEntries()).isZero();
        assertThat(harness.numEventTimeTimers()).isZero();
        assertThat(metrics.count("groupRowsEnded")).isEqualTo(1);
    }

    /** A watermark that overtook a row would end its window before it was written. */
    @Test
    void aWatermarkWaitsForTheRowsBeforeIt() throws Exception {
        partial("1m", "all", "t", T, 1);
        harness.processWatermark(new Watermark(T + 10 * DAY));
        assertThat(harness.getOutput()).isEmpty();
        flush();
        assertThat(stored).hasSize(1);
        assertThat(harness.numKeyedStateEntries()).isZero();
    }

    @Test
    void aDaysWindowsOfAMetricShareTheirTimer() throws Exception {
        for (int minute = 0; minute < 100; minute++) {
            partial("1m", "all", "t", T + minute * MINUTE, 1);
        }
        flush();
        assertThat(stored).hasSize(100);
        assertThat(harness.numEventTimeTimers()).isEqualTo(1);
    }
}
