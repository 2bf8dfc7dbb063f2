package io.kinesisflink.source;

import java.io.IOException;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.util.Collector;

/** Leaves what a record holds to a schema of Flink, and all else of it alone. */
record OfData<T>(DeserializationSchema<T> schema) implements KinesisDeserializationSchema<T> {

    @Override
    public void open(DeserializationSchema.InitializationContext context) throws Exception {
        schema.open(context);
    }

    @Override
    public void deserialize(KinesisRecord record, Collector<T> out) throws IOException {
        schema.deserialize(record.data(), out);
    }

    @Override
    public TypeInformation<T> getProducedType() {
        return schema.getProducedType();
    }
}
