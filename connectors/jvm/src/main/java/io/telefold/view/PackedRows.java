package io.telefold.view;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.Deflater;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonStringEncoder;

/**
 * Packs rows of one device into the body of one item, which {@code schemas/packed_rows.py} reads: a byte that says the
 * format, and JSON as zlib compresses it. One object packs one body after another.
 */
public final class PackedRows {

    private static final byte FORMAT = 2;
    private static final int DIGITS_OF_A_SUM = 13;
    private static final int DIGITS_OF_AN_INCREASE = 12;

    private final DeviceViews views;
    private final StringBuilder json = new StringBuilder();
    private final Deflater deflater = new Deflater();
    private final byte[] buffer = new byte[4_096];
    private int size;

    public PackedRows(DeviceViews views) {
        this.views = views;
        // Digits repeat by chance: it is shorter not to refer to so few of them.
        deflater.setStrategy(Deflater.FILTERED);
        begin();
    }

    private void begin() {
        json.setLength(0);
        json.append('{');
        size = -1;
    }

    public boolean isEmpty() {
        return json.length() == 1;
    }

    /** Adds the newest readings of some metrics; to be called at most once, and before {@link #addRollups}. */
    public void addLatest(List<String> metrics, List<? extends RowValues> latest) {
        json.append("\"latest\":[").append(views.latest.retentionSeconds).append(",{");
        for (int place = 0; place < metrics.size(); place++) {
            appendName(metrics.get(place), place);
            RowValues values = latest.get(place);
            long at = values.whole(RowValue.AT);
            long readings = values.whole(views.latest.version) - at * RowValues.VERSIONS_A_TIME;
            json.append('[').append(readings);
            for (RowValue value : views.latest.values) {
                json.append(',');
                values.append(value, json);
            }
            json.append(']');
        }
        json.append("}]");
    }

    /**
     * Adds the windows of one metric, by their starts in epoch milliseconds, which rise; all of one size are added one after
     * another.
     */
    public void addRollups(int ofSize, String metric, long[] starts, List<? extends RowValues> windows) {
        beginSize(ofSize);
        appendName(metric, json.charAt(json.length() - 1) == '{' ? 0 : 1);
        long[] whole = new long[starts.length];
        double[] amounts = new double[starts.length];
        long[] counts = new long[starts.length];
        for (int place = 0; place < starts.length; place++) {
            whole[place] = Math.floorDiv(starts[place], 1_000L);
            counts[place] = windows.get(place).whole(RowValue.COUNT);
        }
        json.append('[');
        NumberColumn.append(whole, json);
        for (RowValue value : views.rollups[ofSize].values) {
            json.append(',');
            for (int place = 0; place < starts.length; place++) {
                RowValues window = windows.get(place);
                if (value.isWhole) {
                    whole[place] = window.whole(value) - (value == RowValue.COUNT ? 0 : starts[place]);
                } else {
                    amounts[place] = rounded(value, window.amount(value));
                }
            }
            if (value.isWhole) {
                NumberColumn.append(whole, json);
            } else if (value == RowValue.M2) {
                NumberColumn.appendM2(amounts, counts, json);
            } else {
                NumberColumn.append(amounts, json);
            }
        }
        json.append(']');
    }

    private static double rounded(RowValue value, double amount) {
        switch (value) {
            case SUM:
                return Digits.rounded(amount, DIGITS_OF_A_SUM);
            case INCREASE:
                return Digits.rounded(amount, DIGITS_OF_AN_INCREASE);
            case M2:
                return Digits.rounded(amount, NumberColumn.DIGITS_OF_M2);
            default:
                return amount;
        }
    }

    private void beginSize(int next) {
        if (size == next) {
            return;
        }
        if (size >= 0) {
            json.append("}],");
        } else {
            json.append(isEmpty() ? "\"rollups\":{" : ",\"rollups\":{");
        }
        size = next;
        Long keep = views.rollups[next].retentionSeconds;
        json.append('"').append(views.windows[next].name).append("\":[");
        json.append(keep == null ? null : views.windows[next].longestMs / 1_000 + keep);
        json.append(",{");
    }

    private void appendName(String metric, int place) {
        json.append(place == 0 ? "\"" : ",\"");
        JsonStringEncoder.getInstance().quoteAsString(metric, json);
        json.append("\":");
    }

    /** The body of what was added since the last one. */
    public byte[] take() {
        if (size >= 0) {
            json.append("}]}");
        }
        json.append('}');
        deflater.reset();
        deflater.setInput(json.toString().getBytes(StandardCharsets.UTF_8));
        deflater.finish();
        ByteArrayOutputStream body = new ByteArrayOutputStream(512);
        body.write(FORMAT);
        while (!deflater.finished()) {
            body.write(buffer, 0, deflater.deflate(buffer));
        }
        begin();
        return body.toByteArray();
    }
}
