package io.telefold.rules;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;

/**
 * Changes of rules as Python has read them: rows of (rule STRING, version LONG, change STRING, letters STRING), which have
 * a rule or letters.
 */
public final class Rules {

    private static final int RULE = 0;
    private static final int VERSION = 1;
    private static final int CHANGE = 2;

    private Rules() {}

    /** (rule STRING, version LONG, change STRING). */
    public static RowTypeInfo type() {
        return new RowTypeInfo(
                new TypeInformation<?>[] {Types.STRING, Types.LONG, Types.STRING},
                new String[] {"rule", "version", "change"});
    }

    /** Those that have a rule, as {@link #type}. */
    public static FlatMapFunction<Row, Row> changes() {
        return (row, out) -> {
            if (row.getField(RULE) != null) {
                out.collect(Row.of(row.getField(RULE), row.getField(VERSION), row.getField(CHANGE)));
            }
        };
    }
}
