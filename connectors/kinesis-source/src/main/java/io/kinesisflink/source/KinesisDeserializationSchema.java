package io.kinesisflink.source;

import java.io.IOException;
import java.io.Serializable;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.util.Collector;

/** Makes elements of a stream of Flink of records of Kinesis. Each subtask has one of its own, used by one thread. */
public interface KinesisDeserializationSchema<T> extends Serializable, ResultTypeQueryable<T> {

    /** Has a schema of Flink make elements of what records hold. */
    static <T> KinesisDeserializationSchema<T> ofData(DeserializationSchema<T> schema) {
        return new OfData<>(schema);
    }

    /** Called once, before the first record. */
    default void open(DeserializationSchema.InitializationContext context) throws Exception {}

    /**
     * Emits any number of elements of a record, also none. Each gets the record's arrival as its timestamp.
     *
     * @throws IOException fails the job, which then reads the same record again
     */
    void deserialize(KinesisRecord record, Collector<T> out) throws IOException;
}
