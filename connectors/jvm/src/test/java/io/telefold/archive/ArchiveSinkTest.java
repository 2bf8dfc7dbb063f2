package io.telefold.archive;

import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.telefold.event.Event;
import io.telefold.event.Events;
import io.telefold.event.SequenceOrder;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
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
        Event valid = placed(Events.event("d", "1", T), 7, T);
        Event rejected = Events.rejected(T, new byte[] {1, 2});
        write(1 << 20, List.of(valid, rejected, placed(Events.event("d", "2", T), 8, T + HOUR)));
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
        List<Event> rows = new ArrayList<>();
        for (int i = 1; i <= 10; i++) {
            byte[] payload = new byte[100_000];
            random.nextBytes(payload);
            Event event = placed(Events.event("d", "" + i, T), i, T);
            event.payload = payload;
            rows.add(event);
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
        Event first = placed(Events.event("d", "1", T), 7, T);
        Event second = placed(Events.event("d", "2", T), 8, T);
        second.previous = "7";
        second.subSequenceNumber = 0L;
        Event third = placed(Events.event("d", "3", T), 8, T);
        third.previous = "8:0";
        third.subSequenceNumber = 1L;
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

    private void write(long maxPartBytes, List<Event> rows) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(
                1, new Configuration().set(PipelineOptions.GENERIC_TYPES, false));
        env.getConfig().enableObjectReuse();
        env.enableCheckpointing(100);
        env.fromData(Event.type(), rows.toArray(new Event[0]))
                .sinkTo(ArchiveSink.of(archive.toString(), Archive.schemaText(), maxPartBytes));
        env.execute();
    }

    private static Event placed(Event event, long sequenceNumber, long arrival) {
        event.sequenceNumber = "" + sequenceNumber;
        event.arrival = arrival;
        return event;
    }

    private static String text(GenericRecord record) {
        return record.get("sequence_number").toString();
    }

    private static void assertEquals(List<GenericRecord> records, List<Event> rows) {
        assertThat(records).hasSameSizeAs(rows);
        for (int i = 0; i < rows.size(); i++) {
            GenericRecord record = records.get(i);
            Event event = rows.get(i);
            assertThat(record.get("shard")).hasToString(event.shard);
            assertThat(text(record)).isEqualTo(event.sequenceNumber);
            assertThat(record.get("arrival")).isEqualTo(event.arrival);
            assertThat(record.get("partition_key")).hasToString(event.partitionKey);
            assertThat(record.get("data")).isEqualTo(ByteBuffer.wrap(event.payload));
        }
    }
}
