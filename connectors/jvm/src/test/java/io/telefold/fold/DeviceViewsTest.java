package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.telefold.CapturedMetrics;
import io.telefold.event.Cut;
import io.telefold.view.DeviceViews;
import io.telefold.view.GoldenViews;
import io.telefold.view.RowValue;
import java.io.IOException;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@SuppressWarnings("try") // Flink's harness closes with any exception
class DeviceViewsTest {

    private static final long HOUR = 3_600_000;
    private static final String VIEWS =
            "{\"max_metrics\": 9, \"latest\": {\"view\": \"latest\", \"partition_prefix\": \"device#\","
                    + " \"sort_prefix\": \"latest#\", \"version\": \"at\", \"data\": {\"value\": \"value\"},"
                    + " \"retention_s\": null}, \"rollups\": []}";

    /** Every row has the keys, the version, the data and the expiry that plain Python gives it. */
    @ParameterizedTest
    @EnumSource
    void rowsAreThoseOfPython(GoldenViews golden) throws Exception {
        for (int maxRows : new int[] {1, 100_000}) {
            DeviceFold operator = new DeviceFold(
                    new TimeRules(2 * HOUR, 2 * HOUR, HOUR, HOUR, 2 * HOUR),
                    Cut.nowhere(),
                    Corrections.none(),
                    InstantiationUtil.clone(golden.views()),
                    1_000,
                    maxRows);
            try (FoldHarness fold =
                    FoldHarness.open(operator, new HashMapStateBackend(), new CapturedMetrics(), 0, null)) {
                fold.process(GoldenViews.events());
                fold.flush();
                assertThat(fold.late()).isEmpty();
                assertThat(FoldHarness.rounded(
                                FoldHarness.stored(fold.takeRows()).values()))
                        .containsExactlyInAnyOrderElementsOf(FoldHarness.rounded(golden.rows()));
            }
        }
    }

    @Test
    void refusesAValueThatNoFoldHas() throws IOException {
        assertThat(DeviceViews.parse(VIEWS).sizes()).isZero();
        assertThatThrownBy(() -> DeviceViews.parse(VIEWS.replace("\"at\"", "\"median\"")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("MEDIAN");
    }

    @Test
    void refusesAValueOfTheOtherView() {
        assertThatThrownBy(() -> new Latest().whole(RowValue.COUNT))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("a latest reading has no COUNT");
        assertThatThrownBy(() -> new Readings().amount(RowValue.VALUE))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("a rollup has no VALUE");
    }
}
