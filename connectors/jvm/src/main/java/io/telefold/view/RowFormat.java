package io.telefold.view;

import io.telefold.Texts;
import java.io.Serializable;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonStringEncoder;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * How the rows of one view are written: as {@code schemas.view_rows.ViewUpdate} in JSON, one line each. Which names,
 * keys and values a row has is said by {@code operators/device_views.py}.
 */
public final class RowFormat implements Serializable {

    private static final long serialVersionUID = 1L;

    private final String view;
    private final String partitionPrefix;
    private final String sortPrefix;
    private final LinkedHashMap<String, RowValue> data = new LinkedHashMap<>();

    final RowValue version;

    /** What its data holds, in that order. */
    final RowValue[] values;

    /** Seconds from the time that a row is about until it expires, null for never. */
    final Long retentionSeconds;

    private RowFormat(JsonNode json) {
        view = Texts.quoted(text(json, "view"));
        partitionPrefix = Texts.quoted(text(json, "partition_prefix"));
        sortPrefix = Texts.quoted(text(json, "sort_prefix"));
        version = RowValue.of(text(json, "version"));
        Iterator<Map.Entry<String, JsonNode>> fields = json.get("data").fields();
        fields.forEachRemaining(field -> data.put(
                Texts.quoted(field.getKey()), RowValue.of(field.getValue().textValue())));
        values = data.values().toArray(new RowValue[0]);
        retentionSeconds = json.get("retention_s").isNull()
                ? null
                : json.get("retention_s").longValue();
    }

    static RowFormat of(JsonNode json) {
        return new RowFormat(json);
    }

    private static String text(JsonNode json, String field) {
        return json.get(field).textValue();
    }

    /** When a row expires that is about a time in epoch milliseconds, in epoch seconds; null for never. */
    public Long expiresAt(long aboutMs) {
        return retentionSeconds == null ? null : Math.floorDiv(aboutMs, 1000L) + retentionSeconds;
    }

    /** Appends the sort key of a row, as {@link #append} does. */
    public void appendSort(StringBuilder out, String metric, String suffix) {
        out.append(sortPrefix);
        JsonStringEncoder.getInstance().quoteAsString(metric, out);
        out.append(suffix);
    }

    /**
     * Appends one row. The device is {@link Texts#quoted} already, the suffix of the sort key needs no quoting; {@code
     * aboutMs} is the time that the row is about, in epoch milliseconds.
     */
    void append(StringBuilder out, String device, String metric, String suffix, RowValues values, long aboutMs) {
        out.append("{\"view\":\"").append(view);
        out.append("\",\"partition\":\"").append(partitionPrefix).append(device);
        out.append("\",\"sort\":\"");
        appendSort(out, metric, suffix);
        out.append("\",\"version\":");
        values.append(version, out);
        out.append(",\"expires_at\":");
        out.append(expiresAt(aboutMs));
        out.append(",\"data\":");
        char before = '{';
        for (Map.Entry<String, RowValue> field : data.entrySet()) {
            out.append(before).append('"').append(field.getKey()).append("\":");
            values.append(field.getValue(), out);
            before = ',';
        }
        out.append("}}");
    }
}
