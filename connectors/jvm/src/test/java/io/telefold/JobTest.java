package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;
import org.junit.jupiter.api.Test;

/** The classes wired as a job wires them, where Flink serializes them and refuses types it would have to guess. */
class JobTest {

    @Test
    void runsWithoutGenericTypesAndWithObjectReuse() throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(2);
        env.getConfig().disableGenericTypes();
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(50);
        List<Row> rows = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            int event = i % 100;
            rows.add(Rows.event("d" + event % 7, "e" + event, T + event, event, Map.of("t", 1.0)));
        }
        rows.add(Rows.event("d0", "late", T - 10_000));
        rows.add(Rows.rejected(T, new byte[] {1}));
        DataStream<Row> decoded = env.fromCollection(rows, EventRow.type()).assignTimestampsAndWatermarks(
                new ShardEventTime(0));

        SingleOutputStreamOperator<Row> events = decoded.filter(Validity.valid())
                .keyBy(new DeviceKey(), Types.STRING)
                .process(new Deduplicate(60_000, 5_000, 3_600_000, 3_600_000), EventRow.type());
        DataStream<Row> letters = decoded.filter(Validity.rejected())
                .union(events.getSideOutput(Deduplicate.tooLate()))
                .flatMap(new DeadLetters())
                .returns(DeadLetters.type());
        DataStream<Row> lines = events.transform("combine", PartialRow.type(), new Combine(60_000, 100, 1_000))
                .map(partial -> Row.of(partial.getField(0), String.valueOf(partial.getField(3))))
                .returns(Types.ROW(Types.STRING, Types.STRING));
        DataStream<Row> batches =
                lines.transform("batch", MicroBatch.appendType(), MicroBatch.append(100, 1_000, 100_000));

        CloseableIterator<Row> letterResults = letters.collectAsync();
        CloseableIterator<Row> batchResults = batches.collectAsync();
        env.execute();
        long readings = 0;
        while (batchResults.hasNext()) {
            for (String count : ((String) batchResults.next().getField(2)).split("\n")) {
                readings += Long.parseLong(count);
            }
        }
        List<String> reasons = new ArrayList<>();
        letterResults.forEachRemaining(letter -> reasons.add(((String) letter.getField(1)).split("\"")[3]));
        // Each of the 100 events came twice.
        assertThat(readings).isEqualTo(100);
        assertThat(reasons).containsExactlyInAnyOrder("bad_header", "too_late");
    }
}
