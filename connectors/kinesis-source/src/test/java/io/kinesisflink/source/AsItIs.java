package io.kinesisflink.source;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.util.Collector;

/** Emits records as they are. */
final class AsItIs implements KinesisDeserializationSchema<KinesisRecord> {

    private static final long serialVersionUID = 1L;

    @Override
    public void deserialize(KinesisRecord record, Collector<KinesisRecord> out) {
        out.collect(record);
    }

    @Override
    public TypeInformation<KinesisRecord> getProducedType() {
        return TypeInformation.of(KinesisRecord.class);
    }
}
