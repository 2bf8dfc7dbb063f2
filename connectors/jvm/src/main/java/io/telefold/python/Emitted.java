package io.telefold.python;

import java.io.IOException;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Takes apart what folds in Python emit: rows of (count INT, rows STRING, contributions STRING, letters STRING), each of
 * the three lines of JSON, or null where there is nothing.
 */
public final class Emitted {

    private static final int COUNT = 0;
    private static final int ROWS = 1;
    private static final int CONTRIBUTIONS = 2;
    private static final int LETTERS = 3;
    private static final JsonFactory JSON = new JsonFactory();

    private Emitted() {}

    /** Batches of rows for the stores, as {@code RowLines.batchType}. */
    public static FlatMapFunction<Row, Row> rows() {
        return (emitted, out) -> {
            if (emitted.getField(ROWS) != null) {
                out.collect(Row.of(emitted.getField(COUNT), emitted.getField(ROWS)));
            }
        };
    }

    /**
     * What devices contribute to groups, one by one, as {@code MicroBatch.append} takes it: each line is a list that
     * begins with the group's partition, which becomes the key.
     */
    public static FlatMapFunction<Row, Row> contributions() {
        return (emitted, out) -> eachLine((String) emitted.getField(CONTRIBUTIONS), out, (line, parser) -> {
            return Row.of(parser.nextTextValue(), line);
        });
    }

    /** Letters, as {@code DeadLetters.type}: each line is a list of the partition key and the letter. */
    public static FlatMapFunction<Row, Row> letters() {
        return (emitted, out) -> eachLine((String) emitted.getField(LETTERS), out, (line, parser) -> {
            return Row.of(parser.nextTextValue(), parser.nextTextValue());
        });
    }

    private interface Reading {

        /** Makes a row of {@code line}, of which {@code parser} has passed the beginning of the list. */
        Row row(String line, JsonParser parser) throws IOException;
    }

    /** JSON escapes its own line breaks, so that none is inside a value. */
    private static void eachLine(String lines, Collector<Row> out, Reading reading) throws IOException {
        if (lines == null) {
            return;
        }
        for (int start = 0; start < lines.length(); ) {
            int end = lines.indexOf('\n', start);
            end = end < 0 ? lines.length() : end;
            String line = lines.substring(start, end);
            try (JsonParser parser = JSON.createParser(line)) {
                parser.nextToken();
                out.collect(reading.row(line, parser));
            }
            start = end + 1;
        }
    }
}
