package io.kinesisflink.source;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.core.io.InputStatus;

/**
 * A job with this source alone, as far as Flink promises something of it: messages between enumerator and subtasks that keep
 * their order but take their time, checkpoints of which the enumerator's part comes first and holds its messages back until
 * the subtask's part was taken, failures of one subtask and of all, state that is dealt out anew to another parallelism.
 *
 * <p>What subtasks emit counts when a checkpoint completes that covers it. Whatever happens when is up to the test.
 */
final class ModelJob {

    /** A record that a completed checkpoint covers. */
    record Emitted(KinesisRecord record, int reader, long barrier, long coveredBy) {

        String id() {
            return new String(record.data(), java.nio.charset.StandardCharsets.UTF_8);
        }
    }

    /** What a completed checkpoint has. */
    private record Completed(long id, byte[] enumerator, List<List<byte[]>> readers) {}

    final ModelKinesis kinesis;
    final List<Emitted> covered = new ArrayList<>();
    int parallelism;

    private final Settings settings;
    private final Random random;
    private final Tracker tracker = new Tracker();

    ModelEnumeratorContext context;
    ShardEnumerator enumerator;
    Subtask[] subtasks;
    private Completed last;
    private List<List<byte[]>> restored;
    ShardPosition beginning;
    private long checkpoints;
    private int readersMade;

    /** The checkpoint that is being taken; null if there is none. */
    private Taken taken;

    private static final class Taken {
        private long id;
        private byte[] enumerator;
        private List<byte[]>[] readers;
        private int[] emitted;
        private int left;
    }

    ModelJob(ModelKinesis kinesis, Settings settings, int parallelism, Random random) {
        this.kinesis = kinesis;
        this.settings = settings;
        this.parallelism = parallelism;
        this.random = random;
        start();
    }

    private void start() {
        context = new ModelEnumeratorContext(parallelism, new ModelEnumeratorContext.Sent() {
            @Override
            public void event(int subtask, SourceEvent event) {
                subtasks[subtask].send(reader -> reader.handleSourceEvents(event));
            }

            @Override
            public void split(int subtask, ShardSplit split) {
                tracker.assigned(subtask, split);
                ShardSplit copy = copyOf(split);
                subtasks[subtask].send(reader -> reader.addSplits(List.of(copy)));
            }
        });
        tracker.clear();
        EnumeratorState state = last == null
                ? null
                : read(() -> StateSerializers.ENUMERATOR.deserialize(
                        StateSerializers.ENUMERATOR.getVersion(), last.enumerator));
        Settings known = beginning == null ? settings : settings.beginningAt(beginning);
        enumerator = new ShardEnumerator(
                context, known, state, found -> beginning = found, kinesis, () -> kinesis.nowMs, random::nextDouble);
        restored = dealOut();
        subtasks = new Subtask[parallelism];
        for (int i = 0; i < parallelism; i++) {
            subtasks[i] = new Subtask(i);
        }
        enumerator.start();
    }

    /** As Flink deals out the state of an operator: round robin, whoever had it. */
    private List<List<byte[]>> dealOut() {
        List<List<byte[]>> dealt = new ArrayList<>();
        for (int i = 0; i < parallelism; i++) {
            dealt.add(new ArrayList<>());
        }
        if (last != null && last.readers.size() == parallelism) {
            return last.readers;
        }
        int next = 0;
        for (List<byte[]> splits : last == null ? List.<List<byte[]>>of() : last.readers) {
            for (byte[] split : splits) {
                dealt.get(next++ % parallelism).add(split);
            }
        }
        return dealt;
    }

    // What happens to it

    /** Lists the shards. */
    void list() {
        context.call();
    }

    /** All fail, the JobManager with them. */
    void crash(int parallelism) {
        taken = null;
        for (Subtask subtask : subtasks) {
            subtask.end();
        }
        enumerator.close();
        this.parallelism = parallelism;
        start();
    }

    /** One subtask fails, and is restored alone. */
    void crash(Subtask subtask) {
        abort();
        subtask.end();
        context.readers.remove(subtask.index);
        long restoredFrom = last == null ? 0 : last.id;
        enumerator.addSplitsBack(tracker.takeBack(subtask.index, restoredFrom), subtask.index);
        subtasks[subtask.index] = new Subtask(subtask.index);
    }

    /** All subtasks fail, and are restored beside the enumerator that they had. */
    void crashSubtasks() {
        for (Subtask subtask : subtasks.clone()) {
            crash(subtask);
        }
    }

    boolean isRunning() {
        for (Subtask subtask : subtasks) {
            if (subtask.reader == null) {
                return false;
            }
        }
        return true;
    }

    /** The enumerator's part of a checkpoint; nothing if one is being taken or not all subtasks run. */
    void beginCheckpoint() {
        if (taken != null || !isRunning()) {
            return;
        }
        taken = new Taken();
        taken.id = ++checkpoints;
        taken.enumerator = read(() -> StateSerializers.ENUMERATOR.serialize(enumerator.snapshotState(taken.id)));
        tracker.snapshot(taken.id);
        taken.readers = newArray(parallelism);
        taken.emitted = new int[parallelism];
        taken.left = parallelism;
        for (Subtask subtask : subtasks) {
            subtask.closeGate();
        }
    }

    @SuppressWarnings("unchecked")
    private static List<byte[]>[] newArray(int length) {
        return (List<byte[]>[]) new List<?>[length];
    }

    /** A subtask's part of the checkpoint that is being taken. */
    void snapshot(Subtask subtask) {
        if (taken == null || taken.readers[subtask.index] != null) {
            return;
        }
        subtask.deliverAll();
        taken.readers[subtask.index] = subtask.reader.snapshotState(taken.id).stream()
                .map(split -> read(() -> StateSerializers.SPLITS.serialize(split)))
                .toList();
        taken.emitted[subtask.index] = subtask.uncovered();
        taken.left--;
        subtask.barrier = taken.id;
        subtask.openGate();
    }

    boolean isCheckpointTaken() {
        return taken != null && taken.left == 0;
    }

    /** The checkpoint is complete; enumerator and subtasks hear of it some time later. */
    void complete() {
        if (!isCheckpointTaken()) {
            return;
        }
        long id = taken.id;
        last = new Completed(id, taken.enumerator, List.of(taken.readers));
        restored = last.readers;
        for (Subtask subtask : subtasks) {
            subtask.cover(id, taken.emitted[subtask.index]);
        }
        taken = null;
        tracker.completed(id);
        for (Subtask subtask : subtasks) {
            subtask.sendAround(reader -> reader.notifyCheckpointComplete(id));
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

    /** Everything that can happen without a checkpoint happens. */
    void settle() {
        for (boolean isBusy = true; isBusy; ) {
            kinesis.answerAll();
            isBusy = false;
            for (Subtask subtask : subtasks) {
                isBusy |= subtask.start() | subtask.deliverAll() | subtask.poll(1_000) | subtask.hear();
            }
        }
    }

    void passTime(long ms) {
        kinesis.nowMs += ms;
        for (Subtask subtask : subtasks) {
            subtask.loop.tick();
        }
    }

    private interface Step {
        void with(ShardReader<KinesisRecord> reader) throws Exception;
    }

    /** A subtask, from when it is restored until it fails. */
    final class Subtask {

        final int index;
        final ModelOutput output = new ModelOutput();
        final ModelLoop loop = new ModelLoop(kinesis, random);
        final ModelReaderContext readerContext;
        ShardReader<KinesisRecord> reader;
        long barrier = last == null ? 0 : last.id;

        private final int number = readersMade++;
        private final Deque<Step> inbox = new ArrayDeque<>();
        private final Deque<Step> notices = new ArrayDeque<>();
        private final Deque<SourceEvent> outbox = new ArrayDeque<>();
        private final List<Long> barriers = new ArrayList<>();
        private Deque<Step> gated;
        private boolean hasFailed;

        Subtask(int index) {
            this.index = index;
            this.readerContext = new ModelReaderContext(index, parallelism, outbox::add);
        }

        /** Restores it; false if it runs. */
        boolean start() {
            if (reader != null || hasFailed) {
                return false;
            }
            reader = new ShardReader<>(readerContext, settings, new AsItIs(), kinesis, loop);
            reader.start();
            List<ShardSplit> reported = restored.get(index).stream()
                    .map(bytes -> read(
                            () -> StateSerializers.SPLITS.deserialize(StateSerializers.SPLITS.getVersion(), bytes)))
                    .toList();
            context.readers.put(index, ReaderInfo.createReaderInfo(index, "localhost", reported));
            enumerator.addReader(index);
            return true;
        }

        private void send(Step step) {
            (gated == null ? inbox : gated).add(step);
        }

        private void sendAround(Step step) {
            notices.add(step);
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
                read(() -> {
                    step.with(reader);
                    return null;
                });
            }
            return step != null;
        }

        /** Flink pauses a split of it, or resumes it; nothing if it does not run. */
        void pause(String shard, boolean isPaused) {
            if (reader != null) {
                reader.pauseOrResumeSplits(
                        isPaused ? List.of(shard) : List.of(), isPaused ? List.of() : List.of(shard));
            }
        }

        /** What it sent to the enumerator gets lost. */
        void loseMessages() {
            outbox.clear();
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
                enumerator.handleSourceEvent(index, event);
            }
            return event != null;
        }

        /** Polls it so often, or until it has nothing; false if it had nothing at all. */
        boolean poll(int times) {
            boolean any = false;
            loop.tick();
            for (int i = 0; reader != null && i < times; i++) {
                int before = output.records.size();
                if (read(() -> reader.pollNext(output)) == InputStatus.NOTHING_AVAILABLE) {
                    break;
                }
                any = true;
                for (int record = before; record < output.records.size(); record++) {
                    barriers.add(barrier);
                }
            }
            return any;
        }

        private int coveredSoFar;

        private int uncovered() {
            return output.records.size();
        }

        private void cover(long checkpoint, int emitted) {
            for (int i = coveredSoFar; i < emitted; i++) {
                covered.add(new Emitted(output.records.get(i), number, barriers.get(i), checkpoint));
            }
            coveredSoFar = Math.max(coveredSoFar, emitted);
        }

        private void end() {
            hasFailed = true;
            if (reader != null) {
                reader.close();
                reader = null;
            }
            // What it sent may arrive, or not.
            while (random.nextBoolean() && hear()) {
                // until it has not
            }
        }
    }

    /** Which splits a subtask got since which checkpoint, as Flink keeps it beside the enumerator. */
    private static final class Tracker {

        private final TreeMap<Long, Map<Integer, Map<String, ShardSplit>>> byCheckpoint = new TreeMap<>();
        private Map<Integer, Map<String, ShardSplit>> open = new HashMap<>();

        private void clear() {
            byCheckpoint.clear();
            open = new HashMap<>();
        }

        private void assigned(int subtask, ShardSplit split) {
            open.computeIfAbsent(subtask, name -> new LinkedHashMap<>()).put(split.shardId(), split);
        }

        private void snapshot(long checkpoint) {
            byCheckpoint.put(checkpoint, open);
            open = new HashMap<>();
        }

        private void completed(long checkpoint) {
            byCheckpoint.headMap(checkpoint, true).clear();
        }

        private List<ShardSplit> takeBack(int subtask, long restoredFrom) {
            List<ShardSplit> back = new ArrayList<>();
            byCheckpoint.tailMap(restoredFrom, false).values().forEach(assigned -> take(assigned, subtask, back));
            take(open, subtask, back);
            return back;
        }

        private static void take(Map<Integer, Map<String, ShardSplit>> assigned, int subtask, List<ShardSplit> back) {
            Map<String, ShardSplit> splits = assigned.remove(subtask);
            if (splits != null) {
                back.addAll(splits.values());
            }
        }
    }

    private static ShardSplit copyOf(ShardSplit split) {
        return read(() -> StateSerializers.SPLITS.deserialize(
                StateSerializers.SPLITS.getVersion(), StateSerializers.SPLITS.serialize(split)));
    }

    private interface Tried<R> {
        R get() throws Exception;
    }

    private static <R> R read(Tried<R> tried) {
        try {
            return tried.get();
        } catch (RuntimeException e) {
            throw e;
        } catch (IOException e) {
            throw new AssertionError(e);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
