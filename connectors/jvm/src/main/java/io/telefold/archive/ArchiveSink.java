package io.telefold.archive;

import io.telefold.event.Event;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.apache.avro.Schema;
import org.apache.avro.file.CodecFactory;
import org.apache.avro.file.DataFileWriter;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.api.common.serialization.BulkWriter;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.FSDataOutputStream;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.formats.avro.AvroWriterFactory;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.OutputFileConfig;
import org.apache.flink.streaming.api.functions.sink.filesystem.PartFileInfo;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.CheckpointRollingPolicy;

/**
 * {@link Event}s, valid or not, to the archive: the bytes of every record once, in Avro object containers at
 * {@code <path>/day=YYYY-MM-DD/hour=HH/shard=<shard>/part-*.avro}, day and hour being those of its arrival in UTC.
 *
 * <p>A file is finished at the checkpoint that follows its last record, and before that when it is full. The records
 * of a shard must reach one subtask in their order, which a sink that is chained to the source sees to.
 */
public final class ArchiveSink {

    private static final int DEFLATE_LEVEL = 1;

    private ArchiveSink() {}

    /**
     * The sink.
     *
     * @param path a folder of any of Flink's file systems
     * @param schemaText of {@code schemas/archived_record.avsc}
     * @param maxPartBytes from which size on, as compressed, no more records are added to a file
     */
    public static FileSink<Event> of(String path, String schemaText, long maxPartBytes) {
        return FileSink.forBulkFormat(new Path(path), new RecordWriterFactory(schemaText))
                .withBucketAssigner(new ByHourAndShard())
                .withRollingPolicy(new RollAtCheckpointOrSize(maxPartBytes))
                .withOutputFileConfig(
                        OutputFileConfig.builder().withPartSuffix(".avro").build())
                .build();
    }

    /** Copies what it keeps of an event into the file's block at once, so that events may be used again. */
    private static final class RecordWriterFactory implements BulkWriter.Factory<Event> {

        private static final long serialVersionUID = 1L;

        private final String schemaText;

        RecordWriterFactory(String schemaText) {
            this.schemaText = schemaText;
        }

        @Override
        public BulkWriter<Event> create(FSDataOutputStream out) throws IOException {
            Schema schema = new Schema.Parser().parse(schemaText);
            BulkWriter<GenericRecord> records =
                    new AvroWriterFactory<GenericRecord>(stream -> container(schema, stream)).create(out);
            return new RecordWriter(new GenericData.Record(schema), records);
        }

        private static DataFileWriter<GenericRecord> container(Schema schema, OutputStream out) throws IOException {
            return new DataFileWriter<GenericRecord>(new GenericDatumWriter<>(schema))
                    .setCodec(CodecFactory.deflateCodec(DEFLATE_LEVEL))
                    .create(schema, out);
        }
    }

    private static final class RecordWriter implements BulkWriter<Event> {

        private final GenericRecord record;
        private final BulkWriter<GenericRecord> records;

        RecordWriter(GenericRecord record, BulkWriter<GenericRecord> records) {
            this.record = record;
            this.records = records;
        }

        @Override
        public void addElement(Event event) throws IOException {
            record.put(ArchiveFileReader.SHARD, event.shard);
            record.put(ArchiveFileReader.SEQUENCE_NUMBER, event.sequenceNumber);
            record.put(ArchiveFileReader.SUB_SEQUENCE_NUMBER, event.subSequenceNumber);
            record.put(ArchiveFileReader.PREVIOUS, event.previous);
            record.put(ArchiveFileReader.ARRIVAL, event.arrival);
            record.put(ArchiveFileReader.PARTITION_KEY, event.partitionKey);
            record.put(ArchiveFileReader.DATA, ByteBuffer.wrap(event.payload));
            records.addElement(record);
        }

        @Override
        public void flush() throws IOException {
            records.flush();
        }

        @Override
        public void finish() throws IOException {
            records.finish();
        }
    }

    private static final class ByHourAndShard implements BucketAssigner<Event, String> {

        private static final long serialVersionUID = 1L;
        private static final DateTimeFormatter FOLDERS = DateTimeFormatter.ofPattern(
                        "'day='yyyy-MM-dd'/hour='HH'/shard='")
                .withZone(ZoneOffset.UTC);

        private long hour = Long.MIN_VALUE;
        private String folders;

        @Override
        public String getBucketId(Event event, Context context) {
            long arrival = event.arrival;
            long hourOfEvent = Math.floorDiv(arrival, ArchiveFile.HOUR_MS);
            if (hourOfEvent != hour) {
                folders = FOLDERS.format(Instant.ofEpochMilli(arrival));
                hour = hourOfEvent;
            }
            return folders + event.shard;
        }

        @Override
        public SimpleVersionedSerializer<String> getSerializer() {
            return SimpleVersionedStringSerializer.INSTANCE;
        }
    }

    private static final class RollAtCheckpointOrSize extends CheckpointRollingPolicy<Event, String> {

        private static final long serialVersionUID = 1L;

        private final long maxBytes;

        RollAtCheckpointOrSize(long maxBytes) {
            if (maxBytes <= 0) {
                throw new IllegalArgumentException("a part of the archive must hold at least 1 byte, not " + maxBytes);
            }
            this.maxBytes = maxBytes;
        }

        @Override
        public boolean shouldRollOnEvent(PartFileInfo<String> part, Event event) throws IOException {
            return part.getSize() >= maxBytes;
        }

        @Override
        public boolean shouldRollOnProcessingTime(PartFileInfo<String> part, long now) {
            return false;
        }
    }
}
