package io.kinesisflink.sink;

import java.io.Serializable;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.util.FlinkRuntimeException;
import org.apache.flink.util.function.SerializableFunction;

/** Makes records of elements, and fails for those that no request could bring into the stream. */
record Entries<T>(
        SerializableFunction<? super T, String> partitionKey,
        SerializationSchema<? super T> data,
        String stream,
        int maxRecordBytes)
        implements Serializable {

    private static final int MOST_CHARACTERS = 256;

    /** FlinkRuntimeException if the schema cannot be opened. */
    void open(SerializationSchema.InitializationContext context) {
        try {
            data.open(context);
        } catch (Exception e) {
            throw new FlinkRuntimeException("The schema of the sink to stream " + stream + " cannot be opened", e);
        }
    }

    /** FlinkRuntimeException if Kinesis would never take it. */
    PutEntry of(T element) {
        PutEntry entry = new PutEntry(keyOf(element), dataOf(element));
        if (entry.bytes() > maxRecordBytes) {
            throw new FlinkRuntimeException("A record for stream " + stream + " has " + entry.bytes()
                    + " bytes with its partition key " + entry.partitionKey() + ", and at most " + maxRecordBytes
                    + " go: split it or leave it out before the sink, or if the stream takes larger records raise"
                    + " maxRecordBytes");
        }
        return entry;
    }

    private String keyOf(T element) {
        String key = partitionKey.apply(element);
        int characters = key == null ? 0 : key.codePointCount(0, key.length());
        if (characters < 1 || characters > MOST_CHARACTERS) {
            throw new FlinkRuntimeException("A partition key for stream " + stream + " has " + characters
                    + " characters; Kinesis takes 1 to " + MOST_CHARACTERS);
        }
        return key;
    }

    private byte[] dataOf(T element) {
        byte[] bytes = data.serialize(element);
        if (bytes == null) {
            throw new FlinkRuntimeException("The schema makes no data of an element for stream " + stream
                    + ": see that such elements are left out before the sink");
        }
        return bytes;
    }
}
