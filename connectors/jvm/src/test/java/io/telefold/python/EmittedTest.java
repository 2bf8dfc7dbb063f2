package io.telefold.python;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.Test;

class EmittedTest {

    private static final Row ALL = Row.of(
            2,
            "{\"sort\":1}\n{\"sort\":2}",
            "[\"fleet#site#a\\tb\\n#\\\"c\",\"fleet\",{}]\n[\"fleet#all\",\"fleet\",{}]",
            "[\"key\",\"{\\\"reason\\\":\\\"a\\\\nb\\\"}\"]");
    private static final Row NOTHING = Row.of(0, null, null, null);

    private static List<Row> of(FlatMapFunction<Row, Row> part, Row emitted) throws Exception {
        List<Row> out = new ArrayList<>();
        part.flatMap(emitted, new ListCollector<>(out));
        return out;
    }

    @Test
    void rowsGoToTheStoresAsTheyCame() throws Exception {
        assertThat(of(Emitted.rows(), ALL)).containsExactly(Row.of(2, "{\"sort\":1}\n{\"sort\":2}"));
    }

    @Test
    void aGroupMayHaveAnyName() throws Exception {
        assertThat(of(Emitted.contributions(), ALL))
                .containsExactly(
                        Row.of("fleet#site#a\tb\n#\"c", "[\"fleet#site#a\\tb\\n#\\\"c\",\"fleet\",{}]"),
                        Row.of("fleet#all", "[\"fleet#all\",\"fleet\",{}]"));
    }

    @Test
    void lettersHaveTheirPartitionKey() throws Exception {
        assertThat(of(Emitted.letters(), ALL)).containsExactly(Row.of("key", "{\"reason\":\"a\\nb\"}"));
    }

    @Test
    void whereThereIsNothingNothingComes() throws Exception {
        assertThat(of(Emitted.rows(), NOTHING)).isEmpty();
        assertThat(of(Emitted.contributions(), NOTHING)).isEmpty();
        assertThat(of(Emitted.letters(), NOTHING)).isEmpty();
    }
}
