package io.telefold.view;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;

class WindowSizeTest {

    private static final ObjectMapper JSON = new ObjectMapper();

    static WindowSize size(String name, long longestMs) throws IOException {
        String[] parts = name.split("@");
        String calendar = parts.length == 1
                ? "null"
                : String.format("{\"unit\": \"%s\", \"zone\": \"%s\"}", parts[0].substring(1), parts[1]);
        return WindowSize.of(JSON.readTree(
                String.format("{\"size\": \"%s\", \"window_ms\": %d, \"calendar\": %s}", name, longestMs, calendar)));
    }

    /** Around every kind of change of a clock; asked for in an order in which what is kept at hand never serves twice, too. */
    @Test
    void windowsOfCalendarsAreThoseOfPython() throws Exception {
        Map<String, WindowSize> sizes = new HashMap<>();
        JsonNode cases = JSON.readTree(
                Path.of(System.getProperty("golden.directory"), "windows.json").toFile());
        assertThat(cases).hasSizeGreaterThan(1_000);
        for (JsonNode each : cases) {
            String name = each.get(0).textValue();
            WindowSize used = sizes.get(name);
            if (used == null) {
                used = InstantiationUtil.clone(size(name, Long.MAX_VALUE / 2));
                sizes.put(name, used);
            }
            long at = each.get(1).longValue();
            for (WindowSize size : new WindowSize[] {used, size(name, Long.MAX_VALUE / 2)}) {
                assertThat(size.startOf(at))
                        .as("%s at %d", name, at)
                        .isEqualTo(each.get(2).longValue());
                assertThat(size.endOf(at))
                        .as("%s at %d", name, at)
                        .isEqualTo(each.get(3).longValue());
            }
        }
    }

    @Test
    void windowsOfOneLengthAreCountedFrom1970() throws Exception {
        WindowSize size = size("1m", 60_000);
        assertThat(size.startOf(59_999)).isZero();
        assertThat(size.startOf(60_000)).isEqualTo(60_000);
        assertThat(size.endOf(60_000)).isEqualTo(120_000);
        assertThat(size.startOf(-1)).isEqualTo(-60_000);
    }

    @Test
    void refusesAZoneThatThereIsNot() {
        assertThatThrownBy(() -> size("1d@Europe/Atlantis", 1)).isInstanceOf(DateTimeException.class);
    }
}
