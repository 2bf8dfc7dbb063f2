package io.telefold.view;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;

/**
 * Batches of {@link RowLines#batchType} on their way from one task to another, as rows of (count INT, rows BYTES), the
 * lines in UTF-8. Flink copies bytes, where it goes through each character of a text; PyFlink knows no bytes, so that
 * they are a text again before they cross into Python.
 */
public final class PackedBatches {

    private static final int COUNT = 0;
    private static final int LINES = 1;

    private PackedBatches() {}

    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.INT, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO},
                new String[] {"count", "rows"});
    }

    public static MapFunction<Row, Row> pack() {
        return batch ->
                Row.of(batch.getField(COUNT), ((String) batch.getField(LINES)).getBytes(StandardCharsets.UTF_8));
    }

    public static MapFunction<Row, Row> unpack() {
        return packed ->
                Row.of(packed.getField(COUNT), new String((byte[]) packed.getField(LINES), StandardCharsets.UTF_8));
    }
}
