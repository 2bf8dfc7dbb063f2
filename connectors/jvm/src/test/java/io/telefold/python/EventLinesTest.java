package io.telefold.python;

import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.event.Event;
import io.telefold.event.Events;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class EventLinesTest {

    @Test
    void writesAnEventAsPythonReadsIt() throws Exception {
        Map<String, Double> metrics = new LinkedHashMap<>();
        metrics.put("quo\"ted\\n", -0.0);
        metrics.put("温度", 1e60);
        metrics.put("tiny", 5e-324);
        Event event = Events.event("gerät \n 1", "e-1", 1_767_268_800_000L, -3, metrics);
        event.attributes = Map.of("site", "ber\nlin");
        Row line = new EventLines().map(event);
        assertThat(line.getField(0)).isEqualTo("device#gerät \n 1");
        String json = (String) line.getField(1);
        assertThat(json).doesNotContain("\n");
        assertThat(new ObjectMapper().readTree(json))
                .isEqualTo(new ObjectMapper()
                        .readTree("{\"event_id\":\"e-1\",\"device_id\":\"gerät \\n 1\",\"type\":\"telemetry\","
                                + "\"event_time\":1767268800000,\"sequence\":-3,\"metrics\":{\"quo\\\"ted\\\\n\":-0.0,"
                                + "\"温度\":1.0E60,\"tiny\":4.9E-324},\"attributes\":{\"site\":\"ber\\nlin\"},"
                                + "\"correlation_id\":null,\"arrival\":1760000000000}"));
    }
}
