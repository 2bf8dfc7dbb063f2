package io.telefold;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.runtime.metrics.groups.InternalOperatorMetricGroup;
import org.apache.flink.runtime.metrics.util.InterceptingOperatorMetricGroup;
import org.apache.flink.runtime.metrics.util.InterceptingTaskMetricGroup;
import org.apache.flink.runtime.operators.testutils.MockEnvironment;
import org.apache.flink.runtime.operators.testutils.MockEnvironmentBuilder;

/** Metrics that tests can read by their names: those where {@link Metrics} puts them. */
public final class CapturedMetrics extends UnregisteredMetricsGroup {

    private static final String PREFIX = "kinesisanalytics.Program.telefold.";

    private final Map<String, Metric> metrics;
    private final String prefix;

    public CapturedMetrics() {
        this(new HashMap<>(), "");
    }

    private CapturedMetrics(Map<String, Metric> metrics, String prefix) {
        this.metrics = metrics;
        this.prefix = prefix;
    }

    public long count(String name) {
        return ((Counter) metrics.get(PREFIX + name)).getCount();
    }

    public Object value(String name) {
        return ((Gauge<?>) metrics.get(PREFIX + name)).getValue();
    }

    /** An environment whose operators have these metrics. */
    public MockEnvironment environment() {
        InternalOperatorMetricGroup operator = new InterceptingOperatorMetricGroup() {
            @Override
            public MetricGroup addGroup(String name) {
                return CapturedMetrics.this.addGroup(name);
            }
        };
        return new MockEnvironmentBuilder()
                .setMetricGroup(new InterceptingTaskMetricGroup() {
                    @Override
                    public InternalOperatorMetricGroup getOrAddOperator(
                            OperatorID id, String name, Map<String, String> variables) {
                        return operator;
                    }
                })
                .build();
    }

    @Override
    public MetricGroup addGroup(String name) {
        return new CapturedMetrics(metrics, prefix + name + ".");
    }

    @Override
    public MetricGroup addGroup(String key, String value) {
        return addGroup(key).addGroup(value);
    }

    @Override
    public Counter counter(String name) {
        return counter(name, new SimpleCounter());
    }

    @Override
    public <C extends Counter> C counter(String name, C counter) {
        metrics.put(prefix + name, counter);
        return counter;
    }

    @Override
    public <V, G extends Gauge<V>> G gauge(String name, G gauge) {
        metrics.put(prefix + name, gauge);
        return gauge;
    }
}
