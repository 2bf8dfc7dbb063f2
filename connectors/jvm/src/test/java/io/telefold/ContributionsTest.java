package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class ContributionsTest {

    private static List<Row> of(Row batch) {
        List<Row> out = new ArrayList<>();
        new Contributions().flatMap(batch, new ListCollector<>(out));
        return out;
    }

    @Test
    void linesAreTakenApart() {
        assertThat(of(Row.of(0, "fleet#a\t[1]\nfleet#b\t[2]"))).containsExactly(Row.of("fleet#a", "[1]"), Row.of("fleet#b", "[2]"));
        assertThat(of(Row.of(0, "fleet#a\t[1]"))).containsExactly(Row.of("fleet#a", "[1]"));
    }

    @Test
    void rowsForTheStoresGoTheirOwnWay() throws Exception {
        Row rows = Row.of(1, "{}");
        assertThat(of(rows)).isEmpty();
        assertThat(Contributions.rows().filter(rows)).isTrue();
        assertThat(Contributions.rows().filter(Row.of(0, "fleet#a\t[1]"))).isFalse();
    }
}
