package io.telefold;

import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;

/**
 * The row in which one Kinesis record travels through every stage: its event, where it came from, and what is wrong
 * with it.
 *
 * <p>A row whose {@link #REASON} is null holds a valid event. Any other row is rejected; its event fields may be null.
 * The raw bytes are always there, because an archive and the dead letters need them as they were received.
 */
public final class EventRow {

    public static final int EVENT_ID = 0;
    public static final int DEVICE_ID = 1;
    public static final int TYPE = 2;

    /** Epoch milliseconds, when it happened on the device. */
    public static final int EVENT_TIME = 3;

    public static final int SEQUENCE = 4;
    public static final int METRICS = 5;
    public static final int ATTRIBUTES = 6;
    public static final int CORRELATION_ID = 7;
    public static final int PARTITION_KEY = 8;
    public static final int SHARD = 9;
    public static final int SEQUENCE_NUMBER = 10;

    /** Epoch milliseconds, when Kinesis took the record. */
    public static final int ARRIVAL = 11;

    public static final int PAYLOAD = 12;
    public static final int REASON = 13;
    public static final int DETAIL = 14;

    /** The event_id of the event that this one replaces, null for all but corrections. */
    public static final int CORRECTS = 15;

    /** The place of the record in the one that a producer aggregated it into; null if that was not aggregated. */
    public static final int SUB_SEQUENCE_NUMBER = 16;

    /**
     * The {@link #position} of the record that was read before this one of the same shard of the stream; null for the
     * first one, and for what was not read from the stream.
     */
    public static final int PREVIOUS = 17;

    public static final int ARITY = 18;

    private EventRow() {}

    /** Where the record lies in its shard, in the order of {@link SequenceOrder}. */
    static String position(Row row) {
        return SequenceOrder.position(
                (String) row.getField(SEQUENCE_NUMBER), (Long) row.getField(SUB_SEQUENCE_NUMBER));
    }

    /** The type of the row, fields in the order of the constants. */
    public static RowTypeInfo type() {
        return new Type(
                new TypeInformation<?>[] {
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.LONG,
                    Types.LONG,
                    Types.MAP(Types.STRING, Types.DOUBLE),
                    Types.MAP(Types.STRING, Types.STRING),
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.LONG,
                    Types.PRIMITIVE_ARRAY(Types.BYTE),
                    Types.STRING,
                    Types.STRING,
                    Types.STRING,
                    Types.LONG,
                    Types.STRING
                },
                new String[] {
                    "event_id",
                    "device_id",
                    "type",
                    "event_time",
                    "sequence",
                    "metrics",
                    "attributes",
                    "correlation_id",
                    "partition_key",
                    "shard",
                    "sequence_number",
                    "arrival",
                    "payload",
                    "reason",
                    "detail",
                    "corrects",
                    "sub_sequence_number",
                    "previous"
                });
    }

    private static final class Type extends RowTypeInfo {

        private static final long serialVersionUID = 1L;

        Type(TypeInformation<?>[] types, String[] names) {
            super(types, names);
        }

        @Override
        public TypeSerializer<Row> createSerializer(SerializerConfig config) {
            return new EventRowSerializer();
        }
    }
}
