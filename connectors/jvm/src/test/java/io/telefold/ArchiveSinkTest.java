package io.telefold;

import static io.telefold.Rows.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.types.Row;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ArchiveSinkTest {

    private static final long HOUR = 3_600_000;

    @TempDir
    Path folder;

    private Archive archive;

    @BeforeEach
    void create() {
        archive = new Archive(folder);
    }

    @Test
    void everyRowIsARecordInTheFoldersOfItsHourAndShard() throws Exception {
        Row valid = row(Rows.event("d", "1", T), 7, T);
        Row rejected = Rows.rejected(T, new byte[] {1, 2});
        write(1 << 20, List.of(valid, rejected, row(Rows.event("d", "2", T), 8, T + HOUR)));
        assertThat(archive.files())
                .extracting(file -> file.getParent().toString())
                .containsExactly(
                        "day=2025-10-09/hour=08/shard=shardId-000000000000",
                        "day=2025-10-09/hour=08/shard=shardId-000000000003",
                        "day=2025-10-09/hour=09/shard=shardId-000000000000");
        assertThat(archive.files())
                .allSatisfy(file -> assertThat(file.getFileName().toString()).matches("part-.*\\.avro"));
        assertEquals(archive.read(archive.files().get(0)), List.of(valid));
        assertEquals(archive.read(archive.files().get(1)), List.of(rejected));
    }

    @Test
    void aFullFileIsFollowedByAnother() throws Exception {
        Random random = new Random(1);
        List<Row> rows = new ArrayList<>();
        for (int i = 1; i <= 10; i++) {
            byte[] payload = new byte[100_000];
            random.nextBytes(payload);
            Row row = row(Rows.event("d", "" + i, T), i, T);
            row.setField(EventRow.PAYLOAD, payload);
            rows.add(row);
        }
        write(150_000, rows);
        List<GenericRecord> records = new ArrayList<>();
        for (Path file : archive.files()) {
            assertThat(archive.read(file).size()).isBetween(1, 3);
            records.addAll(archive.read(file));
        }
        records.sort((a, b) -> SequenceOrder.INSTANCE.compare(text(a), text(b)));
        assertEquals(records, rows);
    }

    @Test
    void aRecordSaysWhichOneCameBeforeItAndItsPlaceInAnAggregate() throws Exception {
        Row first = row(Rows.event("d", "1", T), 7, T);
        Row second = row(Rows.event("d", "2", T), 8, T);
        second.setField(EventRow.PREVIOUS, "7");
        second.setField(EventRow.SUB_SEQUENCE_NUMBER, 0L);
        Row third = row(Rows.event("d", "3", T), 8, T);
        third.setField(EventRow.PREVIOUS, "8:0");
        third.setField(EventRow.SUB_SEQUENCE_NUMBER, 1L);
        write(1 << 20, List.of(first, second, third));
        List<GenericRecord> records = new ArrayList<>();
        for (Path file : archive.files()) { // a checkpoint may have come in between
            records.addAll(archive.read(file));
        }
        assertThat(records)
                .extracting(record -> record.get("previous") + " " + record.get("sub_sequence_number"))
                .containsExactlyInAnyOrder("null null", "7 0", "8:0 1");
    }

    @Test
    void refusesFilesOfNoBytes() {
        assertThatThrownBy(() -> ArchiveSink.of("/tmp/archive", "", 0)).hasMessageContaining("at least 1 byte");
    }

    private void write(long maxPartBytes, List<Row> rows) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(1);
        env.getConfig().disableGenericTypes();
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(100);
        env.fromData(EventRow.type(), rows.toArray(new Row[0]))
                .sinkTo(ArchiveSink.of(archive.toString(), Archive.schemaText(), maxPartBytes));
        env.execute();
    }

    private static Row row(Row row, long sequenceNumber, long arrival) {
        row.setField(EventRow.SEQUENCE_NUMBER, "" + sequenceNumber);
        row.setField(EventRow.ARRIVAL, arrival);
        return row;
    }

    private static String text(GenericRecord record) {
        return record.get("sequence_number").toString();
    }

    private static void assertEquals(List<GenericRecord> records, List<Row> rows) {
        assertThat(records).hasSameSizeAs(rows);
        for (int i = 0; i < rows.size(); i++) {
            GenericRecord record = records.get(i);
            Row row = rows.get(i);
            assertThat(record.get("shard")).hasToString((String) row.getField(EventRow.SHARD));
            assertThat(text(record)).isEqualTo(row.getField(EventRow.SEQUENCE_NUMBER));
            assertThat(record.get("arrival")).isEqualTo(row.getField(EventRow.ARRIVAL));
            assertThat(record.get("partition_key")).hasToString((String) row.getField(EventRow.PARTITION_KEY));
            assertThat(record.get("data")).isEqualTo(ByteBuffer.wrap((byte[]) row.getField(EventRow.PAYLOAD)));
        }
    }
}
