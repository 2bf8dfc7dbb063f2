package io.telefold.archive;

import io.telefold.event.EventDecoder;
import io.telefold.event.EventDecoderTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.file.DataFileWriter;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;

/** An archive for tests to write files into, by nothing but its schema. */
public final class Archive {

    private static final Path DEVICE_EVENT = Path.of(System.getProperty("schemas.directory"));

    private static Schema wholeSchema;

    private final Path root;

    public Archive(Path root) {
        this.root = root;
    }

    static String schemaText() throws IOException {
        return Files.readString(DEVICE_EVENT.resolveSibling("archived_record.avsc"));
    }

    public static EventDecoder decoder() throws IOException {
        return new EventDecoder(EventDecoderTest.readings(), EventDecoderTest.limits());
    }

    /** A valid event, its id being its sequence number. */
    public static GenericRecord event(String device, long sequenceNumber, long arrival) throws IOException {
        Schema schema = new Schema.Parser().parse(Files.readString(DEVICE_EVENT.resolve("v1.avsc")));
        GenericRecord event = new GenericRecordBuilder(schema)
                .set("event_id", "" + sequenceNumber)
                .set("device_id", device)
                .set("type", "telemetry")
                .set("event_time", arrival)
                .set("sequence", sequenceNumber)
                .set("metrics", Map.of("t", 1.0))
                .build();
        ByteBuffer data = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema).encode(event);
        return record(device, sequenceNumber, arrival, data);
    }

    /** A record that is no event. */
    public static GenericRecord rejected(long sequenceNumber, long arrival) throws IOException {
        return record("d", sequenceNumber, arrival, ByteBuffer.wrap("no event".getBytes(StandardCharsets.UTF_8)));
    }

    /** As an earlier build wrote it, which did not note what came before. */
    private static GenericRecord record(String key, long sequenceNumber, long arrival, ByteBuffer data)
            throws IOException {
        Schema whole = new Schema.Parser().parse(schemaText());
        Schema schema = Schema.createRecord(whole.getName(), whole.getDoc(), whole.getNamespace(), false);
        schema.setFields(whole.getFields().stream()
                .filter(field -> !field.name().matches("sub_sequence_number|previous"))
                .map(field -> new Schema.Field(field, field.schema()))
                .collect(Collectors.toList()));
        return copied(schema, key, "" + sequenceNumber, arrival, data).build();
    }

    private static GenericRecordBuilder copied(
            Schema schema, String key, String sequenceNumber, long arrival, ByteBuffer data) {
        return new GenericRecordBuilder(schema)
                .set("shard", "not read")
                .set("sequence_number", sequenceNumber)
                .set("arrival", arrival)
                .set("partition_key", key)
                .set("data", data);
    }

    /** The same, which {@code previous} came before in its shard; null is nothing. */
    public static GenericRecord behind(String previous, GenericRecord record) throws IOException {
        return placed(previous, null, record);
    }

    /** The same at {@code place} of an aggregate. */
    public static GenericRecord placed(String previous, Long place, GenericRecord record) throws IOException {
        return copied(
                        new Schema.Parser().parse(schemaText()),
                        (String) record.get("partition_key"),
                        (String) record.get("sequence_number"),
                        (Long) record.get("arrival"),
                        (ByteBuffer) record.get("data"))
                .set("previous", previous)
                .set("sub_sequence_number", place)
                .build();
    }

    /** A record of Kinesis as it is archived. */
    public static GenericRecord archived(
            String key, String sequenceNumber, Long place, String previous, long arrival, byte[] data)
            throws IOException {
        return copied(wholeSchema(), key, sequenceNumber, arrival, ByteBuffer.wrap(data))
                .set("previous", previous)
                .set("sub_sequence_number", place)
                .build();
    }

    private static Schema wholeSchema() throws IOException {
        if (wholeSchema == null) {
            wholeSchema = new Schema.Parser().parse(schemaText());
        }
        return wholeSchema;
    }

    /** Writes a file into the folders of the first record's arrival. */
    public Path write(String shard, String name, GenericRecord... records) throws IOException {
        Instant hour = Instant.ofEpochMilli((Long) records[0].get("arrival"));
        return write(String.format("day=%1$tF/hour=%1$tH", hour.atZone(ZoneOffset.UTC)), shard, name, records);
    }

    public Path write(String hour, String shard, String name, GenericRecord... records) throws IOException {
        Path file = Files.createDirectories(root.resolve(hour).resolve("shard=" + shard))
                .resolve(name);
        Path unfinished = file.resolveSibling(".unfinished");
        Schema schema = records[0].getSchema();
        try (DataFileWriter<GenericRecord> writer = new DataFileWriter<>(new GenericDatumWriter<>(schema))) {
            writer.create(schema, unfinished.toFile());
            for (GenericRecord record : records) {
                writer.append(record);
            }
        }
        return Files.move(unfinished, file);
    }

    /** Files relative to the archive. */
    public List<Path> files() throws IOException {
        try (Stream<Path> paths = Files.walk(root)) {
            return paths.filter(Files::isRegularFile)
                    .filter(path -> !path.getFileName().toString().startsWith("."))
                    .map(root::relativize)
                    .sorted()
                    .collect(Collectors.toList());
        }
    }

    List<GenericRecord> read(Path relative) throws IOException {
        List<GenericRecord> records = new ArrayList<>();
        try (DataFileReader<GenericRecord> reader =
                new DataFileReader<>(root.resolve(relative).toFile(), new GenericDatumReader<>())) {
            reader.forEach(records::add);
        }
        return records;
    }

    @Override
    public String toString() {
        return root.toUri().toString();
    }
}
