package io.kinesisflink.source;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.CharacterFilter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.metrics.groups.InternalSourceReaderMetricGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;

/** What a reader sees of Flink. Metrics are kept by their names, with those of their groups before them. */
final class ModelReaderContext implements SourceReaderContext {

    final Map<String, Counter> counters = new HashMap<>();
    final Map<String, Gauge<?>> gauges = new HashMap<>();

    private final int subtask;
    private final int parallelism;
    private final Consumer<SourceEvent> events;

    ModelReaderContext(int subtask, int parallelism, Consumer<SourceEvent> events) {
        this.subtask = subtask;
        this.parallelism = parallelism;
        this.events = events;
    }

    long count(String name) {
        return counters.get(name).getCount();
    }

    long gauge(String name) {
        return ((Number) gauges.get(name).getValue()).longValue();
    }

    @Override
    public SourceReaderMetricGroup metricGroup() {
        return InternalSourceReaderMetricGroup.mock(new Kept(""));
    }

    @Override
    public Configuration getConfiguration() {
        return new Configuration();
    }

    @Override
    public String getLocalHostName() {
        return "localhost";
    }

    @Override
    public int getIndexOfSubtask() {
        return subtask;
    }

    @Override
    public int currentParallelism() {
        return parallelism;
    }

    @Override
    public void sendSplitRequest() {
        throw new AssertionError("Nobody asks for splits");
    }

    @Override
    public void sendSourceEventToCoordinator(SourceEvent event) {
        events.accept(event);
    }

    @Override
    public UserCodeClassLoader getUserCodeClassLoader() {
        return SimpleUserCodeClassLoader.create(getClass().getClassLoader());
    }

    private final class Kept extends UnregisteredMetricsGroup {

        private final String name;

        private Kept(String name) {
            this.name = name;
        }

        @Override
        public Counter counter(String counter) {
            return counter(counter, new SimpleCounter());
        }

        @Override
        public <C extends Counter> C counter(String counter, C kept) {
            counters.put(name + counter, kept);
            return kept;
        }

        @Override
        public <T, G extends Gauge<T>> G gauge(String gauge, G kept) {
            gauges.put(name + gauge, kept);
            return kept;
        }

        @Override
        public MetricGroup addGroup(String group) {
            return new Kept(name + group + ".");
        }

        @Override
        public MetricGroup addGroup(String key, String value) {
            return new Kept(name + key + "." + value + ".");
        }

        @Override
        public String getMetricIdentifier(String metric, CharacterFilter filter) {
            return name + metric;
        }
    }
}
