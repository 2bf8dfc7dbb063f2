package io.telefold.source;

import io.kinesisflink.source.ShardSplit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.metrics.groups.SplitEnumeratorMetricGroup;

/** The context of the stream's enumerator: that of the log, with splits of the stream alone. */
final class StreamContext implements SplitEnumeratorContext<ShardSplit> {

    private final SplitEnumeratorContext<LogSplit> log;
    private boolean hidesReported;

    StreamContext(SplitEnumeratorContext<LogSplit> log) {
        this.log = log;
    }

    /** Whether what subtasks report of their restored state is kept back, since it is part of starting positions. */
    void hideReported(boolean hides) {
        hidesReported = hides;
    }

    @Override
    public SplitEnumeratorMetricGroup metricGroup() {
        return log.metricGroup();
    }

    @Override
    public void sendEventToSourceReader(int subtask, SourceEvent event) {
        log.sendEventToSourceReader(subtask, event);
    }

    @Override
    public int currentParallelism() {
        return log.currentParallelism();
    }

    @Override
    public Map<Integer, ReaderInfo> registeredReaders() {
        Map<Integer, ReaderInfo> readers = new HashMap<>();
        log.registeredReaders().forEach((subtask, reader) -> readers.put(subtask, ofStream(reader)));
        return readers;
    }

    private ReaderInfo ofStream(ReaderInfo reader) {
        List<LogSplit> reported = hidesReported ? List.of() : reader.getReportedSplitsOnRegistration();
        return ReaderInfo.createReaderInfo(reader.getSubtaskId(), reader.getLocation(), streamSplits(reported));
    }

    /** Those of the stream among these. */
    static List<ShardSplit> streamSplits(List<LogSplit> splits) {
        return splits.stream()
                .filter(LogSplit.OfStream.class::isInstance)
                .map(split -> ((LogSplit.OfStream) split).split())
                .toList();
    }

    @Override
    public void assignSplits(SplitsAssignment<ShardSplit> assignment) {
        Map<Integer, List<LogSplit>> splits = new HashMap<>();
        assignment
                .assignment()
                .forEach((subtask, shards) -> splits.put(
                        subtask,
                        shards.stream().<LogSplit>map(LogSplit.OfStream::new).toList()));
        log.assignSplits(new SplitsAssignment<>(splits));
    }

    @Override
    public void signalNoMoreSplits(int subtask) {
        log.signalNoMoreSplits(subtask);
    }

    @Override
    public <T> void callAsync(Callable<T> callable, BiConsumer<T, Throwable> handler) {
        log.callAsync(callable, handler);
    }

    @Override
    public <T> void callAsync(
            Callable<T> callable, BiConsumer<T, Throwable> handler, long initialDelayMs, long periodMs) {
        log.callAsync(callable, handler, initialDelayMs, periodMs);
    }

    @Override
    public void runInCoordinatorThread(Runnable runnable) {
        log.runInCoordinatorThread(runnable);
    }

    @Override
    public void setIsProcessingBacklog(boolean isProcessingBacklog) {
        log.setIsProcessingBacklog(isProcessingBacklog);
    }
}
