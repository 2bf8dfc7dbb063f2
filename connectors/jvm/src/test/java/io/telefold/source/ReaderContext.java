package io.telefold.source;

import io.telefold.CapturedMetrics;
import java.util.function.Consumer;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.apache.flink.runtime.metrics.groups.InternalSourceReaderMetricGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;

/** What a reader sees of Flink. */
final class ReaderContext implements SourceReaderContext {

    private final int subtask;
    private final int parallelism;
    private final CapturedMetrics metrics;
    private final Consumer<SourceEvent> events;

    /** Takes who gets what the reader sends. */
    ReaderContext(int subtask, int parallelism, CapturedMetrics metrics, Consumer<SourceEvent> events) {
        this.subtask = subtask;
        this.parallelism = parallelism;
        this.metrics = metrics;
        this.events = events;
    }

    @Override
    public SourceReaderMetricGroup metricGroup() {
        return InternalSourceReaderMetricGroup.mock(metrics);
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
}
