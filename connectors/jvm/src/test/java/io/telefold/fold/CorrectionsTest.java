package io.telefold.fold;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.telefold.event.Event;
import io.telefold.event.Events;
import java.util.Map;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;

class CorrectionsTest {

    private static final String ONE = "{\"device_id\": \"d\", \"corrects\": \"1\", \"event_id\": \"c\","
            + " \"event_time\": 1759999999999, \"sequence\": -9223372036854775808,"
            + " \"metrics\": {\"temperature\": 0.1, \"humidity\": 5, \"tiny\": 5e-324}}";

    @Test
    void replacesTimeSequenceAndMetricsOfOneEventOfOneDevice() throws Exception {
        Event event = Events.event("d", "1", T, 7, Map.of("temperature", 1.0));
        Event expected = Events.event(
                "d", "1", T - 1, Long.MIN_VALUE, Map.of("temperature", 0.1, "humidity", 5.0, "tiny", 5e-324));
        assertThat(Corrections.parse("[" + ONE + "]").corrected(event))
                .usingRecursiveComparison()
                .isEqualTo(expected);
        assertThat(event)
                .usingRecursiveComparison()
                .isEqualTo(Events.event("d", "1", T, 7, Map.of("temperature", 1.0)));
    }

    @Test
    void leavesEveryOtherEventAsItIs() throws Exception {
        Corrections corrections = Corrections.parse("[" + ONE + "]");
        for (Event event :
                new Event[] {Events.event("d", "2", T), Events.event("e", "1", T), Events.event("d", "c", T)}) {
            assertThat(corrections.corrected(event)).isSameAs(event);
            assertThat(Corrections.none().corrected(event)).isSameAs(event);
        }
    }

    @Test
    void emptyMetricsTakeTheReadingsOut() throws Exception {
        Event event = Events.event("d", "1", T, 7, Map.of("temperature", 1.0));
        String none = ONE.replaceFirst("\"metrics\": .*", "\"metrics\": {}}");
        assertThat(Corrections.parse("[" + none + "]").corrected(event).metrics).isEmpty();
    }

    @Test
    void travelsToTheTasks() throws Exception {
        Corrections corrections = InstantiationUtil.clone(Corrections.parse("[" + ONE + "]"));
        assertThat(corrections.corrected(Events.event("d", "1", T)).eventTime).isEqualTo(T - 1);
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
