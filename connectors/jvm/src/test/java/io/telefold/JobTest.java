package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The classes wired as Python wires them, where Flink serializes them and refuses types it would have to guess. */
class JobTest {

    private StreamExecutionEnvironment env;

    @BeforeEach
    void createEnvironment() {
        env = StreamExecutionEnvironment.createLocalEnvironment(2);
        env.getConfig().disableGenericTypes();
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
    }

    @Test
    void runsWithoutGenericTypesAndWithObjectReuse() throws Exception {
        DataStream<Row> decoded = decoded();
        SingleOutputStreamOperator<Row> folded = folded(decoded, GoldenViews.MINUTES);
        DataStream<Row> letters = decoded.filter(Validity.rejected())
                .union(folded.getSideOutput(DeviceFold.setAside()))
                .flatMap(new DeadLetters())
                .returns(DeadLetters.type());

        CloseableIterator<Row> letterResults = letters.collectAsync();
        CloseableIterator<Row> batchResults = folded.collectAsync();
        env.execute();
        List<JsonNode> rows = new ArrayList<>();
        for (String line : lines(batchResults, 1)) {
            rows.add(new ObjectMapper().readTree(line));
        }
        List<String> reasons = new ArrayList<>();
        letterResults.forEachRemaining(letter -> reasons.add(((String) letter.getField(1)).split("\"")[3]));
        assertThat(FoldHarness.stored(rows).values())
                .filteredOn(row -> row.get("view").textValue().equals("rollups"))
                .hasSize(7)
                .extracting(row -> row.get("version").longValue())
                // Each of the 100 events came twice.
                .satisfies(versions ->
                        assertThat(versions.stream().mapToLong(Long::longValue).sum()).isEqualTo(100));
        assertThat(reasons).containsExactlyInAnyOrder("bad_header", "too_late");
    }

    @Test
    void whatTheFoldInSqlIsMadeOfRunsBehindTheFoldsAcceptedEvents() throws Exception {
        DataStream<Row> batches = folded(decoded(), GoldenViews.NOTHING)
                .getSideOutput(DeviceFold.accepted())
                .transform("combine", PartialRow.type(), new Combine(60_000, 100, 1_000))
                .map(partial -> Row.of(partial.getField(0), String.valueOf(partial.getField(3))))
                .returns(Types.ROW(Types.STRING, Types.STRING))
                .transform("batch", MicroBatch.appendType(), MicroBatch.append(100, 1_000, 100_000));
        CloseableIterator<Row> results = batches.collectAsync();
        env.execute();
        assertThat(lines(results, 1).stream().mapToLong(Long::parseLong).sum()).isEqualTo(100);
    }

    /** 100 events, each of them twice, one that is too late, and a record that is none. */
    private DataStream<Row> decoded() {
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            int event = i % 100;
            rows.add(Rows.event("d" + event % 7, "e" + event, T + event, event, Map.of("t", 1.0)));
        }
        rows.add(Rows.event("d0", "late", T - 10_000));
        rows.add(Rows.rejected(T, new byte[] {1}));
        return env.fromCollection(rows, EventRow.type()).assignTimestampsAndWatermarks(new ShardEventTime(0, 10_000));
    }

    private static SingleOutputStreamOperator<Row> folded(DataStream<Row> decoded, GoldenViews views) throws Exception {
        DeviceFold fold = new DeviceFold(
                new TimeRules(60_000, 5_000, 3_600_000, 3_600_000, 7_200_000),
                Cut.nowhere(),
                Corrections.none(),
                views.views(),
                100,
                1_000);
        return decoded.filter(new Intake())
                .keyBy(new DeviceKey(), Types.STRING)
                .transform("fold", DeviceFold.batchType(), fold);
    }

    private static List<String> lines(CloseableIterator<Row> batches, int field) {
        List<String> lines = new ArrayList<>();
        batches.forEachRemaining(batch -> lines.addAll(List.of(((String) batch.getField(field)).split("\n"))));
        return lines;
    }
}
