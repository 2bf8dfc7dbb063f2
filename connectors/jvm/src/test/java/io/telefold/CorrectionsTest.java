package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Map;
import org.apache.flink.types.Row;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;

class CorrectionsTest {

    private static final String ONE = "{\"device_id\": \"d\", \"corrects\": \"1\", \"event_id\": \"c\","
            + " \"event_time\": 1759999999999, \"sequence\": -9223372036854775808,"
            + " \"metrics\": {\"temperature\": 0.1, \"humidity\": 5, \"tiny\": 5e-324}}";

    @Test
    void replacesTimeSequenceAndMetricsOfOneEventOfOneDevice() throws Exception {
        Row row = Rows.event("d", "1", T, 7, Map.of("temperature", 1.0));
        Row expected = Rows.event(
                "d", "1", T - 1, Long.MIN_VALUE, Map.of("temperature", 0.1, "humidity", 5.0, "tiny", 5e-324));
        assertThat(Corrections.parse("[" + ONE + "]").corrected(row)).isEqualTo(expected);
        assertThat(row).isEqualTo(Rows.event("d", "1", T, 7, Map.of("temperature", 1.0)));
    }

    @Test
    void leavesEveryOtherRowAsItIs() throws Exception {
        Corrections corrections = Corrections.parse("[" + ONE + "]");
        for (Row row : new Row[] {Rows.event("d", "2", T), Rows.event("e", "1", T), Rows.event("d", "c", T)}) {
            assertThat(corrections.corrected(row)).isSameAs(row);
            assertThat(Corrections.none().corrected(row)).isSameAs(row);
        }
    }

    @Test
    void emptyMetricsTakeTheReadingsOut() throws Exception {
        Row row = Rows.event("d", "1", T, 7, Map.of("temperature", 1.0));
        String none = ONE.replaceFirst("\"metrics\": .*", "\"metrics\": {}}");
        assertThat((Map<?, ?>) Corrections.parse("[" + none + "]").corrected(row).getField(EventRow.METRICS))
                .isEmpty();
    }

    @Test
    void travelsToTheTasks() throws Exception {
        Corrections corrections = InstantiationUtil.clone(Corrections.parse("[" + ONE + "]"));
        assertThat(corrections.corrected(Rows.event("d", "1", T)).getField(EventRow.EVENT_TIME))
                .isEqualTo(T - 1);
    }

    @Test
    void refusesTwoForOneEventRatherThanChoose() {
        assertThatThrownBy(() -> Corrections.parse("[" + ONE + "," + ONE + "]"))
                .hasMessage("event 1 of device d has two corrections, pass only the one that wins");
    }

    @Test
    void refusesOneThatLacksAField() {
        for (String field : new String[] {"device_id", "corrects", "event_time", "sequence", "metrics"}) {
            assertThatThrownBy(() -> Corrections.parse("[" + ONE.replace(field, "another") + "]"))
                    .hasMessageContaining("no valid " + field);
        }
    }
}
