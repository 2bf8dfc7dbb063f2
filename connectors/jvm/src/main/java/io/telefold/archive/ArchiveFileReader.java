package io.telefold.archive;

import io.telefold.event.SequenceOrder;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.file.SeekableInput;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.Decoder;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.fs.Path;

/**
 * The records of one archive file, one after the other in the same object. A file that is cut short or otherwise
 * corrupt is an {@link IOException} that names it.
 */
public final class ArchiveFileReader implements Closeable {

    static final String SHARD = "shard";
    static final String SEQUENCE_NUMBER = "sequence_number";
    static final String SUB_SEQUENCE_NUMBER = "sub_sequence_number";
    static final String PREVIOUS = "previous";
    static final String ARRIVAL = "arrival";
    static final String PARTITION_KEY = "partition_key";
    static final String DATA = "data";

    /** What a reader needs of {@code schemas/archived_record.avsc}; the folder's name says the shard. */
    private static final Schema NEEDED = SchemaBuilder.record("ArchivedRecord")
            .namespace("telefold")
            .fields()
            .requiredString(SEQUENCE_NUMBER)
            .requiredLong(ARRIVAL)
            .requiredString(PARTITION_KEY)
            .requiredBytes(DATA)
            .optionalLong(SUB_SEQUENCE_NUMBER)
            .optionalString(PREVIOUS)
            .endRecord();

    private final Path path;
    private final Input input;
    private final DataFileReader<GenericRecord> records;
    private GenericRecord record;
    private String position;
    private final boolean knowsPrevious;

    ArchiveFileReader(Path path, long bytes) throws IOException {
        this.path = path;
        Input opened = null;
        try {
            opened = new Input(path.getFileSystem().open(path), bytes);
            records = new DataFileReader<>(opened, new RecordReader());
        } catch (IOException | RuntimeException e) {
            if (opened != null) {
                opened.close();
            }
            throw unreadable(e);
        }
        input = opened;
        knowsPrevious = records.getSchema().getField(PREVIOUS) != null;
    }

    /** Moves on to the next record, if there is one. */
    boolean next() throws IOException {
        try {
            if (!records.hasNext()) {
                checkEnd();
                return false;
            }
            record = records.next(record);
            position = SequenceOrder.position(sequenceNumber(), subSequenceNumber());
            return true;
        } catch (IOException | RuntimeException e) { // what Avro throws is whatever it trips over
            throw unreadable(e);
        }
    }

    /** In the order of {@link SequenceOrder}. */
    public String position() {
        return position;
    }

    public String sequenceNumber() {
        return (String) record.get(0);
    }

    /** Null if the record was not aggregated with others. */
    public Long subSequenceNumber() {
        return (Long) record.get(4);
    }

    /** Whether the file was written by a build that noted {@link #previous}. */
    boolean knowsPrevious() {
        return knowsPrevious;
    }

    /** The position of the record that lay before this one in its shard; null if the shard was read from here on. */
    String previous() {
        return (String) record.get(5);
    }

    /** Epoch milliseconds. */
    public long arrival() {
        return (Long) record.get(1);
    }

    public String partitionKey() {
        return (String) record.get(2);
    }

    /** The caller's own copy. */
    public byte[] data() {
        ByteBuffer buffer = (ByteBuffer) record.get(3);
        byte[] data = new byte[buffer.remaining()];
        buffer.get(data, 0, data.length);
        return data;
    }

    @Override
    public void close() throws IOException {
        records.close();
    }

    /** Avro takes the end of the bytes for the end of the records, wherever it comes. */
    private void checkEnd() throws IOException {
        if (records.previousSync() != input.length) {
            throw new IOException("it ends within a block of records");
        }
    }

    private IOException unreadable(Exception cause) {
        return new IOException(
                "The archive file " + path + " cannot be read; restore it from a backup: " + cause, cause);
    }

    private static final class RecordReader extends GenericDatumReader<GenericRecord> {

        RecordReader() {
            super(null, NEEDED);
        }

        @Override
        protected Object readString(Object old, Schema expected, Decoder in) throws IOException {
            return in.readString();
        }
    }

    private static final class Input implements SeekableInput {

        private final FSDataInputStream stream;
        private final long length;

        Input(FSDataInputStream stream, long length) {
            this.stream = stream;
            this.length = length;
        }

        @Override
        public void seek(long position) throws IOException {
            stream.seek(position);
        }

        @Override
        public long tell() throws IOException {
            return stream.getPos();
        }

        @Override
        public long length() {
            return length;
        }

        @Override
        public int read(byte[] bytes, int offset, int count) throws IOException {
            return stream.read(bytes, offset, count);
        }

        @Override
        public void close() throws IOException {
            stream.close();
        }
    }
}
