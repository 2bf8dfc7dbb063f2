package io.telefold;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;

import io.telefold.deadletter.DeadLetters;
import io.telefold.event.Cut;
import io.telefold.event.DeviceKey;
import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.fold.Corrections;
import io.telefold.fold.DeviceFold;
import io.telefold.fold.FoldHarness;
import io.telefold.fold.TimeRules;
import io.telefold.groups.GroupCombine;
import io.telefold.groups.GroupRollups;
import io.telefold.groups.GroupRollupsTest;
import io.telefold.intake.Intake;
import io.telefold.view.DeviceViews;
import io.telefold.view.GoldenViews;
import io.telefold.view.RowLines;
import io.telefold.view.Unpacked;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
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
        env = StreamExecutionEnvironment.createLocalEnvironment(
                2, new Configuration().set(PipelineOptions.GENERIC_TYPES, false));
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
    }

    @Test
    void runsWithoutGenericTypesAndWithObjectReuse() throws Exception {
        DataStream<Event> decoded = decoded();
        SingleOutputStreamOperator<Row> folded = folded(decoded, GoldenViews.MINUTES);
        DataStream<Row> letters = decoded.filter(Intake.rejected())
                .union(folded.getSideOutput(DeviceFold.setAside()))
                .flatMap(new DeadLetters())
                .returns(DeadLetters.type());

        CloseableIterator<Row> letterResults = letters.collectAsync();
        CloseableIterator<Row> batchResults = folded.collectAsync();
        env.execute();
        List<JsonNode> rows = new ArrayList<>();
        for (String line : lines(batchResults, 1)) {
            rows.addAll(Unpacked.changed(new ObjectMapper().readTree(line)));
        }
        List<String> reasons = new ArrayList<>();
        letterResults.forEachRemaining(letter -> reasons.add(((String) letter.getField(1)).split("\"")[3]));
        assertThat(FoldHarness.stored(rows).values())
                .filteredOn(row -> row.get("view").textValue().equals("rollups"))
                .hasSize(7)
                .extracting(row -> row.get("version").longValue())
                // Each of the 100 events came twice.
                .satisfies(versions -> assertThat(
                                versions.stream().mapToLong(Long::longValue).sum())
                        .isEqualTo(100));
        assertThat(reasons).containsExactlyInAnyOrder("bad_header", "too_late");
    }

    /** By group, whatever tasks its devices were folded in. */
    @Test
    void groupsAreRolledUpBehindTheFoldsAcceptedEvents() throws Exception {
        DataStream<Event> accepted = folded(decoded(), GoldenViews.NOTHING).getSideOutput(DeviceFold.accepted());
        DeviceViews groups = GroupRollupsTest.views(90 * 86_400L, "1m", "1h");
        KeyedStream<Event, String> keyed =
                DataStreamUtils.reinterpretAsKeyedStream(accepted, new DeviceKey(), Types.STRING);
        DataStream<Row> batches = keyed.transform(
                        "combine",
                        GroupCombine.partialType(),
                        new GroupCombine(List.of("site"), groups, 90 * 86_400_000L, 90 * 86_400_000L, 100, 1_000))
                .keyBy(GroupRollups.key(), Types.STRING)
                .transform("merge", RowLines.batchType(), new GroupRollups(groups, 90 * 86_400_000L, 100, 1_000));
        CloseableIterator<Row> results = batches.collectAsync();
        env.execute();
        List<JsonNode> rows = new ArrayList<>();
        for (String line : lines(results, 1)) {
            rows.add(new ObjectMapper().readTree(line));
        }
        assertThat(FoldHarness.stored(rows).values())
                .hasSize(2)
                .allMatch(row -> row.get("partition").textValue().equals("fleet#all"))
                .extracting(row -> row.get("data").get("count").longValue())
                .containsOnly(100L);
    }

    /** 100 events, each of them twice, one that is too late, and a record that is none. */
    private DataStream<Event> decoded() {
        List<Event> rows = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            int event = i % 100;
            rows.add(Events.event("d" + event % 7, "e" + event, T + event, event, Map.of("t", 1.0)));
        }
        rows.add(Events.event("d0", "late", T - 10_000));
        rows.add(Events.rejected(T, new byte[] {1}));
        return env.fromData(Event.type(), rows.toArray(new Event[0]))
                .assignTimestampsAndWatermarks(WatermarkStrategy.<Event>noWatermarks()
                        .withTimestampAssigner((event, before) -> event.arrival));
    }

    private static SingleOutputStreamOperator<Row> folded(DataStream<Event> decoded, GoldenViews views)
            throws Exception {
        DeviceFold fold = new DeviceFold(
                        new TimeRules(60_000, 5_000, 3_600_000, 3_600_000, 7_200_000),
                        Cut.nowhere(),
                        Corrections.none(),
                        views.views(),
                        100,
                        1_000)
                .tellingIncreases();
        return decoded.filter(new Intake())
                .keyBy(new DeviceKey(), Types.STRING)
                .transform("fold", RowLines.batchType(), fold);
    }

    private static List<String> lines(CloseableIterator<Row> batches, int field) {
        List<String> lines = new ArrayList<>();
        batches.forEachRemaining(batch -> lines.addAll(List.of(((String) batch.getField(field)).split("\n"))));
        return lines;
    }
}
