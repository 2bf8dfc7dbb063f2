package io.telefold.source;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;

/** What an enumerator sees of Flink. Its periodic call is made when a test says so. */
final class EnumeratorContext implements SplitEnumeratorContext<LogSplit> {

    /** Who gets what the enumerator sends. */
    interface Sent {

        void event(int subtask, SourceEvent event);

        void split(int subtask, LogSplit split);

        void noMoreSplits(int subtask);
    }

    final Map<Integer, ReaderInfo> readers = new HashMap<>();

    private final int parallelism;
    private final Sent sent;
    private Runnable periodic = () -> {};

    EnumeratorContext(int parallelism, Sent sent) {
        this.parallelism = parallelism;
        this.sent = sent;
    }

    /** Makes the call that the enumerator wants to be made again and again, if there is one. */
    void call() {
        periodic.run();
    }

    @Override
    public <T> void callAsync(Callable<T> callable, BiConsumer<T, Throwable> handler, long delay, long period) {
        periodic = () -> callAsync(callable, handler);
    }

    @Override
    public <T> void callAsync(Callable<T> callable, BiConsumer<T, Throwable> handler) {
        T result;
        try {
            result = callable.call();
        } catch (Exception e) {
            handler.accept(null, e);
            return;
        }
        handler.accept(result, null);
    }

    @Override
    public SplitEnumeratorMetricGroup metricGroup() {
        return UnregisteredMetricsGroup.createSplitEnumeratorMetricGroup();
    }

    @Override
    public void sendEventToSourceReader(int subtask, SourceEvent event) {
        checkRegistered(subtask);
        sent.event(subtask, event);
    }

    @Override
    public int currentParallelism() {
        return parallelism;
    }

    @Override
    public Map<Integer, ReaderInfo> registeredReaders() {
        return Map.copyOf(readers);
    }

    @Override
    public void assignSplits(SplitsAssignment<LogSplit> assignment) {
        assignment.assignment().forEach((subtask, splits) -> {
            checkRegistered(subtask);
            splits.forEach(split -> sent.split(subtask, split));
        });
    }

    private void checkRegistered(int subtask) {
        if (!readers.containsKey(subtask)) {
            throw new AssertionError("Subtask " + subtask + " is not registered");
        }
    }

    @Override
    public void signalNoMoreSplits(int subtask) {
        checkRegistered(subtask);
        sent.noMoreSplits(subtask);
    }

    @Override
    public void runInCoordinatorThread(Runnable task) {
        task.run();
    }
}
