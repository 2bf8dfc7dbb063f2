package io.telefold.view;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.zip.InflaterOutputStream;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.JsonNodeFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** The rows in items, read as {@code schemas/packed_rows.py} says, with no code of the writer's. */
public final class Unpacked {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final List<String> FIELDS =
            List.of("count", "sum", "min", "max", "m2", "first_at", "first", "last_at", "last", "increase");
    private static final List<String> WHOLE = List.of("count", "first_at", "last_at");

    private Unpacked() {}

    /** A line as it is if it is a row; else the rows in the item that it tells to have changed. */
    public static List<JsonNode> changed(JsonNode line) {
        if (!line.has("packed")) {
            return List.of(line);
        }
        List<String> names = new ArrayList<>();
        line.get("changed").forEach(name -> names.add(name.textValue()));
        List<JsonNode> rows = all(line);
        rows.removeIf(row -> !names.contains(row.get("sort").textValue()));
        return rows;
    }

    /** All rows in the item that a line is. */
    public static List<JsonNode> all(JsonNode line) {
        List<JsonNode> rows = new ArrayList<>();
        JsonNode body = body(line);
        if (body.has("latest")) {
            each(body.get("latest").get(1), (metric, values) -> {
                long at = values.get(2).longValue();
                ObjectNode row = row(
                        line,
                        "latest",
                        "latest#" + metric,
                        (at << 20) + values.get(0).longValue());
                row.set("expires_at", expiry(body.get("latest").get(0), Math.floorDiv(at, 1000L)));
                row.putObject("data").put("value", values.get(1).doubleValue()).put("at", at);
                rows.add(row);
            });
        }
        if (body.has("rollups")) {
            each(
                    body.get("rollups"),
                    (size, held) -> each(
                            held.get(1),
                            (metric, columns) -> addWindows(
                                    line, "rollup#" + size + "#" + metric + "#", held.get(0), columns, rows)));
        }
        return reread(rows);
    }

    /** As a file of golden rows has them: numbers of as few bytes as they need. */
    private static List<JsonNode> reread(List<JsonNode> rows) {
        List<JsonNode> read = new ArrayList<>();
        try {
            for (JsonNode row : rows) {
                read.add(JSON.readTree(row.toString()));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return read;
    }

    private static void addWindows(JsonNode line, String sort, JsonNode keep, JsonNode columns, List<JsonNode> rows) {
        List<List<Double>> read = new ArrayList<>();
        columns.forEach(column -> read.add(column(column)));
        for (int place = 0; place < read.get(0).size(); place++) {
            long start = read.get(0).get(place).longValue();
            ObjectNode data = JsonNodeFactory.instance.objectNode();
            for (int field = 0; field < FIELDS.size(); field++) {
                String name = FIELDS.get(field);
                double value = read.get(field + 1).get(place);
                if (name.equals("m2") && !columns.get(field + 1).get(0).isNull()) {
                    value = new BigDecimal(value / data.get("count").longValue())
                            .round(new MathContext(10))
                            .doubleValue();
                }
                if (WHOLE.contains(name)) {
                    data.put(name, (long) value + (name.endsWith("_at") ? start * 1000 : 0));
                } else {
                    data.put(name, value);
                }
            }
            ObjectNode row = row(
                    line,
                    "rollups",
                    sort + Instant.ofEpochSecond(start),
                    data.get("count").longValue());
            row.set("expires_at", expiry(keep, start));
            row.set("data", data);
            rows.add(row);
        }
    }

    private static List<Double> column(JsonNode packed) {
        List<Double> numbers = new ArrayList<>();
        long whole = 0;
        for (int place = 1; place < packed.size(); place++) {
            if (packed.get(0).isNull()) {
                numbers.add(packed.get(place).doubleValue());
            } else {
                whole += packed.get(place).longValue();
                numbers.add(whole / Math.pow(10, packed.get(0).intValue()));
            }
        }
        return numbers;
    }

    private static JsonNode expiry(JsonNode keep, long aboutSeconds) {
        return keep.isNull() ? keep : JsonNodeFactory.instance.numberNode(aboutSeconds + keep.longValue());
    }

    private static ObjectNode row(JsonNode line, String view, String sort, long version) {
        return JsonNodeFactory.instance
                .objectNode()
                .put("view", view)
                .put("partition", line.get("partition").textValue())
                .put("sort", sort)
                .put("version", version);
    }

    private static JsonNode body(JsonNode line) {
        byte[] bytes = Base64.getDecoder().decode(line.get("packed").textValue());
        if (bytes[0] != 2) {
            throw new AssertionError("format " + bytes[0]);
        }
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try (InflaterOutputStream inflating = new InflaterOutputStream(text)) {
            inflating.write(bytes, 1, bytes.length - 1);
            inflating.finish();
            return JSON.readTree(text.toByteArray());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void each(JsonNode object, BiConsumer<String, JsonNode> action) {
        for (Iterator<Map.Entry<String, JsonNode>> fields = object.fields(); fields.hasNext(); ) {
            Map.Entry<String, JsonNode> field = fields.next();
            action.accept(field.getKey(), field.getValue());
        }
    }
}
