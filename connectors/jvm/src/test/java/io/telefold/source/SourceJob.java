package io.telefold.source;

import io.telefold.CapturedMetrics;
import io.telefold.event.Event;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerialization;
import org.apache.flink.util.InstantiationUtil;

/**
 * A job with the events' source alone, as far as Flink promises something of it: messages between enumerator and subtasks
 * that keep their order but take their time, checkpoints of which the enumerator's part comes first and holds its messages
 * back until the subtask's part was taken, failures of one subtask and of all, state that is dealt out anew. A subtask is
 * asked for records only when it has said that there may be some.
 *
 * <p>What subtasks emit counts when a checkpoint completes that covers it. Whatever happens when is up to the test.
 */
final class SourceJob implements AutoCloseable {

    /** A record that a completed checkpoint covers. */
    record Emitted(Event event, int reader, long barrier, long coveredBy) {}

    /** What a completed checkpoint has. */
    record Completed(long id, byte[] enumerator, List<List<byte[]>> readers) {}

    private static final int MOST_POLLS = 100_000;

    final List<Emitted> covered = new ArrayList<>();
    Subtask[] subtasks;
    LogEnumerator enumerator;

    private EventSource source;
    private int parallelism;
    private final Tracker tracker = new Tracker();
    private EnumeratorContext context;
    private Completed last;
    private List<List<byte[]>> restored;
    private long checkpoints;
    private int readersMade;

    /** The checkpoint that is being taken; null if there is none. */
    private Taken taken;

    private static final class Taken {
        private long id;
        private byte[] enumerator;
        private List<List<byte[]>> readers;
        private int[] emitted;
        private int left;
    }

    /** Takes the checkpoint to begin with, null at a first start. */
    SourceJob(EventSource source, int parallelism, Completed from) {
        this.source = source;
        this.parallelism = parallelism;
        this.last = from;
        this.checkpoints = from == null ? 0 : from.id;
        start();
    }

    private void start() {
        tracker.clear();
        context = new EnumeratorContext(parallelism, new EnumeratorContext.Sent() {
            @Override
            public void event(int subtask, SourceEvent event) {
                SourceEvent copy = tried(() -> InstantiationUtil.clone(event));
                subtasks[subtask].send(reader -> reader.handleSourceEvents(copy));
            }

            @Override
            public void split(int subtask, LogSplit split) {
                tracker.assigned(subtask, split);
                LogSplit copy = SourceJob.this.split(bytes(split));
                subtasks[subtask].send(reader -> reader.addSplits(List.of(copy)));
            }

            @Override
            public void noMoreSplits(int subtask) {
                subtasks[subtask].send(SourceReader::notifyNoMoreSplits);
            }
        });
        SplitEnumerator<LogSplit, LogState> made = last == null
                ? source.createEnumerator(context)
                : source.restoreEnumerator(
                        context,
                        tried(() -> SimpleVersionedSerialization.readVersionAndDeSerialize(
                                source.getEnumeratorCheckpointSerializer(), last.enumerator)));
        enumerator = (LogEnumerator) made;
        restored = dealOut();
        subtasks = new Subtask[parallelism];
        for (int i = 0; i < parallelism; i++) {
            subtasks[i] = new Subtask(i);
        }
        enumerator.start();
    }

    private byte[] bytes(LogSplit split) {
        return tried(() -> SimpleVersionedSerialization.writeVersionAndSerialize(source.getSplitSerializer(), split));
    }

    private LogSplit split(byte[] bytes) {
        return tried(() -> SimpleVersionedSerialization.readVersionAndDeSerialize(source.getSplitSerializer(), bytes));
    }

    /** As Flink deals out the state of an operator: round robin, whoever had it. */
    private List<List<byte[]>> dealOut() {
        if (last != null && last.readers.size() == parallelism) {
            return last.readers;
        }
        List<List<byte[]>> dealt = new ArrayList<>();
        for (int i = 0; i < parallelism; i++) {
            dealt.add(new ArrayList<>());
        }
        int next = 0;
        for (List<byte[]> splits : last == null ? List.<List<byte[]>>of() : last.readers) {
            for (byte[] split : splits) {
                dealt.get(next++ % parallelism).add(split);
            }
        }
        return dealt;
    }

    /** The last checkpoint that completed; null if there is none. */
    Completed last() {
        return last;
    }

    /** What the enumerator had in the last checkpoint. */
    LogState state() {
        return tried(() -> SimpleVersionedSerialization.readVersionAndDeSerialize(
                source.getEnumeratorCheckpointSerializer(), last.enumerator));
    }

    int parallelism() {
        return parallelism;
    }

    /** What the subtasks of a checkpoint had, by the ids of the splits. */
    Map<String, String> positionsIn(Completed checkpoint) {
        Map<String, String> positions = new TreeMap<>();
        checkpoint.readers.stream()
                .flatMap(List::stream)
                .map(this::split)
                .forEach(split -> positions.put(split.splitId(), String.valueOf(split.reached())));
        return positions;
    }

    // What happens to it

    /** The calls are made that the enumerator wants to be made again and again: it lists the shards. */
    void list() {
        context.call();
    }

    /** All fail, the JobManager with them. */
    void crash(int newParallelism) {
        crash(source, newParallelism);
    }

    /** All fail, and another source goes on from their last checkpoint. */
    void crash(EventSource newSource, int newParallelism) {
        close();
        source = newSource;
        parallelism = newParallelism;
        start();
    }

    /** One subtask fails. */
    void fail(Subtask subtask) {
        abort();
        subtask.end();
        context.readers.remove(subtask.index);
    }

    /** One subtask fails, if it has not, and is restored alone. */
    void crash(Subtask subtask) {
        fail(subtask);
        enumerator.addSplitsBack(tracker.takeBack(subtask.index, last == null ? 0 : last.id), subtask.index);
        subtasks[subtask.index] = new Subtask(subtask.index);
    }

    /** Those that failed are restored. */
    void restartFailed() {
        for (Subtask subtask : subtasks.clone()) {
            if (subtask.hasFailed) {
                crash(subtask);
            }
        }
    }

    /** The enumerator's part of a checkpoint; nothing if one is being taken or not all subtasks run. */
    void beginCheckpoint() {
        if (taken != null || !isRunning()) {
            return;
        }
        taken = new Taken();
        taken.id = ++checkpoints;
        taken.enumerator = tried(() -> SimpleVersionedSerialization.writeVersionAndSerialize(
                source.getEnumeratorCheckpointSerializer(), enumerator.snapshotState(taken.id)));
        tracker.snapshot(taken.id);
        taken.readers = new ArrayList<>();
        taken.emitted = new int[parallelism];
        taken.left = parallelism;
        for (Subtask subtask : subtasks) {
            taken.readers.add(null);
            subtask.closeGate();
        }
    }

    private boolean isRunning() {
        for (Subtask subtask : subtasks) {
            if (subtask.reader == null) {
                return false;
            }
        }
        return true;
    }

    /** A subtask's part of the checkpoint that is being taken. */
    void snapshot(Subtask subtask) {
        if (taken == null || taken.readers.get(subtask.index) != null) {
            return;
        }
        subtask.deliverAll();
        taken.readers.set(
                subtask.index,
                subtask.reader.snapshotState(taken.id).stream().map(this::bytes).toList());
        taken.emitted[subtask.index] = subtask.output.events.size();
        taken.left--;
        subtask.barrier = taken.id;
        subtask.openGate();
    }

    /** The checkpoint is complete if it was taken; subtasks hear of it some time later. */
    void complete() {
        if (taken == null || taken.left > 0) {
            return;
        }
        long id = taken.id;
        last = new Completed(id, taken.enumerator, taken.readers);
        restored = last.readers;
        for (Subtask subtask : subtasks) {
            subtask.cover(id, taken.emitted[subtask.index]);
        }
        taken = null;
        tracker.completed(id);
        tried(() -> {
            enumerator.notifyCheckpointComplete(id);
            return null;
        });
        for (Subtask subtask : subtasks) {
            subtask.notices.add(reader -> reader.notifyCheckpointComplete(id));
        }
    }

    /** The checkpoint that is being taken will not complete. */
    void abort() {
        if (taken != null) {
            taken = null;
            for (Subtask subtask : subtasks) {
                subtask.openGate();
            }
        }
    }

    void checkpoint() {
        abort();
        beginCheckpoint();
        if (taken != null) {
            for (Subtask subtask : subtasks) {
                snapshot(subtask);
            }
            complete();
        }
    }

    /** Everything that can happen without a checkpoint, or time that passes, happens. */
    void settle() {
        for (boolean isBusy = true; isBusy; ) {
            isBusy = false;
            for (Subtask subtask : subtasks) {
                isBusy |= subtask.start() | subtask.deliverAll() | subtask.poll(MOST_POLLS) | subtask.hear();
            }
        }
    }

    /** What subtasks emitted since they were started, in their order. */
    List<String> emitted() {
        List<String> all = new ArrayList<>();
        for (Subtask subtask : subtasks) {
            all.addAll(subtask.emitted());
        }
        return all;
    }

    @Override
    public void close() {
        taken = null;
        for (Subtask subtask : subtasks) {
            subtask.end();
        }
        tried(() -> {
            enumerator.close();
            return null;
        });
    }

    private interface Step {
        void with(SourceReader<Event, LogSplit> reader) throws Exception;
    }

    /** A subtask, from when it is restored until it fails. */
    final class Subtask {

        final int index;
        final EventOutput output = new EventOutput();
        final CapturedMetrics metrics = new CapturedMetrics();
        SourceReader<Event, LogSplit> reader;
        boolean hasEnded;

        private final int number = readersMade++;
        private final Deque<Step> inbox = new ArrayDeque<>();
        private final Deque<Step> notices = new ArrayDeque<>();
        private final Deque<SourceEvent> outbox = new ArrayDeque<>();
        private final List<Long> barriers = new ArrayList<>();
        private Deque<Step> gated;
        private boolean hasFailed;
        private boolean hasMore = true;
        private CompletableFuture<Void> available;
        private Looking looking;
        private long barrier = last == null ? 0 : last.id;
        private int coveredSoFar;

        private Subtask(int index) {
            this.index = index;
        }

        List<String> emitted() {
            return output.events.stream().map(Event::position).toList();
        }

        /** Restores it; false if it runs. */
        boolean start() {
            if (reader != null || hasFailed) {
                return false;
            }
            reader = tried(() -> source.createReader(
                    new ReaderContext(index, parallelism, metrics, outbox::add), () -> looking = new Looking()));
            reader.start();
            List<LogSplit> reported =
                    restored.get(index).stream().map(SourceJob.this::split).toList();
            context.readers.put(index, ReaderInfo.createReaderInfo(index, "localhost", reported));
            enumerator.addReader(index);
            return true;
        }

        private void send(Step step) {
            (gated == null ? inbox : gated).add(step);
        }

        private void closeGate() {
            gated = new ArrayDeque<>();
        }

        private void openGate() {
            if (gated != null) {
                inbox.addAll(gated);
                gated = null;
            }
        }

        /** A message of the enumerator arrives; false if there is none. */
        boolean deliver() {
            return reader != null && step(inbox.poll());
        }

        /** It hears of a completed checkpoint; false if there is none. */
        boolean notice() {
            return reader != null && step(notices.poll());
        }

        private boolean step(Step step) {
            if (step != null) {
                tried(() -> {
                    step.with(reader);
                    return null;
                });
            }
            return step != null;
        }

        boolean deliverAll() {
            boolean any = false;
            while (deliver() || notice()) {
                any = true;
            }
            return any;
        }

        /** The enumerator gets a message of it; false if there is none. */
        boolean hear() {
            SourceEvent event = outbox.poll();
            if (event != null) {
                enumerator.handleSourceEvent(index, tried(() -> InstantiationUtil.clone(event)));
            }
            return event != null;
        }

        /** Polls it so often, as long as it says that there may be something; false if it does not. */
        boolean poll(int times) {
            boolean any = false;
            for (int i = 0; i < times && isPollable(); i++) {
                any = true;
                InputStatus status = tried(() -> reader.pollNext(output));
                hasMore = status == InputStatus.MORE_AVAILABLE;
                hasEnded = status == InputStatus.END_OF_INPUT;
                if (status == InputStatus.NOTHING_AVAILABLE) {
                    available = reader.isAvailable();
                }
                while (barriers.size() < output.events.size()) {
                    barriers.add(barrier);
                }
            }
            return any;
        }

        private boolean isPollable() {
            return reader != null && !hasEnded && (hasMore || available.isDone());
        }

        /** The time has come for which it waits until it looks for files again; false if it does not. */
        boolean look() {
            return looking != null && looking.runLater();
        }

        private void cover(long checkpoint, int emitted) {
            for (int i = coveredSoFar; i < emitted; i++) {
                covered.add(new Emitted(output.events.get(i), number, barriers.get(i), checkpoint));
            }
            coveredSoFar = Math.max(coveredSoFar, emitted);
        }

        private void end() {
            hasFailed = true;
            if (reader != null) {
                SourceReader<Event, LogSplit> ended = reader;
                reader = null;
                tried(() -> {
                    ended.close();
                    return null;
                });
            }
        }
    }

    /** Looks for files at once, in the thread that asks; later when it is told to. */
    private static final class Looking extends ScheduledThreadPoolExecutor {

        private Runnable later;

        private Looking() {
            super(0);
        }

        @Override
        public ScheduledFuture<?> schedule(Runnable task, long delay, TimeUnit unit) {
            if (delay == 0) {
                task.run();
            } else {
                later = task;
            }
            return null;
        }

        private boolean runLater() {
            Runnable due = later;
            later = null;
            if (due != null) {
                due.run();
            }
            return due != null;
        }
    }

    /** Which splits a subtask got since which checkpoint, as Flink keeps it beside the enumerator. */
    private static final class Tracker {

        private final TreeMap<Long, Map<Integer, Map<String, LogSplit>>> byCheckpoint = new TreeMap<>();
        private Map<Integer, Map<String, LogSplit>> open = new HashMap<>();

        private void clear() {
            byCheckpoint.clear();
            open = new HashMap<>();
        }

        private void assigned(int subtask, LogSplit split) {
            open.computeIfAbsent(subtask, name -> new LinkedHashMap<>()).put(split.splitId(), split);
        }

        private void snapshot(long checkpoint) {
            byCheckpoint.put(checkpoint, open);
            open = new HashMap<>();
        }

        private void completed(long checkpoint) {
            byCheckpoint.headMap(checkpoint, true).clear();
        }

        private List<LogSplit> takeBack(int subtask, long restoredFrom) {
            List<LogSplit> back = new ArrayList<>();
            byCheckpoint.tailMap(restoredFrom, false).values().forEach(assigned -> take(assigned, subtask, back));
            take(open, subtask, back);
            return back;
        }

        private static void take(Map<Integer, Map<String, LogSplit>> assigned, int subtask, List<LogSplit> back) {
            Map<String, LogSplit> splits = assigned.remove(subtask);
            if (splits != null) {
                back.addAll(splits.values());
            }
        }
    }

    private interface Tried<R> {
        R get() throws Exception;
    }

    private static <R> R tried(Tried<R> tried) {
        try {
            return tried.get();
        } catch (RuntimeException e) {
            throw e;
        } catch (IOException e) {
            throw new UncheckedIOException(e.getMessage(), e);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
