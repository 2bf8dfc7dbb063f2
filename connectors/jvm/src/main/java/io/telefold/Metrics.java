package io.telefold;

import org.apache.flink.metrics.MetricGroup;

/**
 * Where the metrics of an operator are, wherever it runs: {@code docs/reference/metrics.md} lists them.
 *
 * <p>Managed Flink sends what is below {@code kinesisanalytics} to CloudWatch, key and value as a dimension, and takes
 * names of letters and digits alone. Histograms it leaves out, so there are none.
 */
public final class Metrics {

    private Metrics() {}

    public static MetricGroup of(MetricGroup operator) {
        return operator.addGroup("kinesisanalytics").addGroup("Program", "telefold");
    }
}
