package io.kinesisflink.source;

import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.util.Collector;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;

/**
 * Reads the shards of a subtask, one batch of one after a batch of another.
 *
 * <p>A shard that has ended stays in the state until the enumerator has heard of it, from a checkpoint that covers its
 * end. What the enumerator sends after it was asked for its part of a checkpoint comes after the subtask's part of it. So
 * a checkpoint says of each end either here or there.
 *
 * <p>Everything runs in the subtask's thread: what waits for Kinesis or for a time leaves a task to be run there.
 */
final class ShardReader<T> implements SourceReader<T, ShardSplit>, ReadingProgress {

    /** How often the enumerator is told again of ends that it has not heard of, in milliseconds. */
    private static final long TOLD_EACH_MS = 5_000;

    private final SourceReaderContext context;
    private final Settings settings;
    private final KinesisDeserializationSchema<T> schema;
    private final KinesisAsyncClient client;
    private final QueuedLoop loop;
    private final SourceMetrics metrics;
    private final TimeOfLog time = new TimeOfLog();

    private final Map<String, ShardReading<T>> readings = new LinkedHashMap<>();
    private final Set<String> paused = new HashSet<>();
    private final NavigableMap<Long, Set<String>> endedAtCheckpoint = new TreeMap<>();
    private final Set<String> untold = new TreeSet<>();
    private final Set<String> endedOutputs = new TreeSet<>();
    private final ToOutput<T> collector = new ToOutput<>();

    private volatile List<ShardReading<T>> turns = List.of();
    private int turn;
    private ShardReading<T> current;
    private boolean willTellAgain;
    private String consumerArn;
    private long emittedTime = Long.MIN_VALUE;

    /** Takes a client and a loop, which it closes in the end. */
    ShardReader(
            SourceReaderContext context,
            Settings settings,
            KinesisDeserializationSchema<T> schema,
            KinesisAsyncClient client,
            QueuedLoop loop) {
        this.context = context;
        this.settings = settings;
        this.schema = schema;
        this.client = client;
        this.loop = loop;
        this.metrics = new SourceMetrics(context.metricGroup(), settings.stream());
        metrics.gauge("shardsWaiting", this::shardsWaiting);
        metrics.gauge("behindMs", this::behindMs);
    }

    @Override
    public long behindMs() {
        return time.behindMs(turns);
    }

    @Override
    public int shardsWaiting() {
        return time.shardsWaiting();
    }

    @Override
    public long positionsTrimmed() {
        return metrics.positionsTrimmed();
    }

    /** Nothing is read before there are shards. */
    @Override
    public void start() {}

    @Override
    public InputStatus pollNext(ReaderOutput<T> output) throws Exception {
        if (loop.hasTasks()) {
            runTasks(output);
        }
        ShardReading<T> ready = nextReady();
        if (ready == null) {
            loop.rearm();
            runTasks(output);
            ready = nextReady();
        }
        if (ready == null) {
            return InputStatus.NOTHING_AVAILABLE;
        }
        handOn(ready, output);
        return InputStatus.MORE_AVAILABLE;
    }

    private void runTasks(ReaderOutput<T> output) {
        loop.runTasks();
        for (ShardReading<T> reading : turns) {
            reading.checkFailure();
        }
        releaseOutputs(output);
        emitTime(output);
    }

    /** What has ended holds the watermark of its subtask until its children are being read. */
    private void releaseOutputs(ReaderOutput<T> output) {
        endedOutputs.removeIf(shard -> {
            boolean isOver = !readings.containsKey(shard) && !time.isWithoutSuccessors(shard);
            if (isOver) {
                output.releaseOutputForSplit(shard);
            }
            return isOver;
        });
    }

    /** A shard keeps its turn until its batch has been handed on. */
    private ShardReading<T> nextReady() {
        if (current != null && current.isReady()) {
            return current;
        }
        current = null;
        List<ShardReading<T>> all = turns;
        for (int tried = 0; tried < all.size(); tried++) {
            turn = (turn + 1) % all.size();
            if (all.get(turn).isReady()) {
                current = all.get(turn);
                return current;
            }
        }
        return null;
    }

    private void handOn(ShardReading<T> reading, ReaderOutput<T> output) throws Exception {
        KinesisRecord record = reading.next();
        if (record != null) {
            collector.output = outputOf(reading, output);
            collector.arrivalMs = record.arrivalMs();
            schema.deserialize(record, collector);
            return;
        }
        current = null;
        outputOf(reading, output);
        reading.finishBatch(time.isClosed(reading.shard()));
        if (reading.hasEnded()) {
            ended(reading.shard());
        }
        emitTime(output);
    }

    private SourceOutput<T> outputOf(ShardReading<T> reading, ReaderOutput<T> output) {
        if (reading.output == null) {
            reading.output = output.createOutputForSplit(reading.shard());
        }
        return reading.output;
    }

    private void ended(String shard) {
        time.ended(shard);
        endedOutputs.add(shard);
        if (!settings.hasCheckpoints()) {
            untold.add(shard);
            tell();
        }
    }

    private void emitTime(ReaderOutput<T> output) {
        if (settings.emitsTimeOfLog()) {
            long now = time.advance(turns);
            if (now > emittedTime) {
                emittedTime = now;
                output.emitWatermark(new Watermark(now));
            }
        }
    }

    @Override
    public List<ShardSplit> snapshotState(long checkpoint) {
        endedAtCheckpoint.put(
                checkpoint,
                readings.values().stream()
                        .filter(ShardReading::hasEnded)
                        .map(ShardReading::shard)
                        .collect(Collectors.toSet()));
        return readings.values().stream().map(ShardReading::state).toList();
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
        NavigableMap<Long, Set<String>> covered = endedAtCheckpoint.headMap(checkpoint, true);
        covered.values().forEach(untold::addAll);
        covered.clear();
        untold.retainAll(readings.keySet());
        tell();
    }

    private void tell() {
        if (untold.isEmpty()) {
            return;
        }
        context.sendSourceEventToCoordinator(new ShardsEnded(new TreeSet<>(untold)));
        if (!willTellAgain) {
            willTellAgain = true;
            loop.later(TOLD_EACH_MS, () -> {
                willTellAgain = false;
                tell();
            });
        }
    }

    @Override
    public void addSplits(List<ShardSplit> splits) {
        for (ShardSplit split : splits) {
            ShardReading<T> reading = new ShardReading<>(split, settings, metrics, loop);
            if (readings.putIfAbsent(split.shardId(), reading) != null) {
                throw new IllegalStateException("Shard " + split.shardId() + " was assigned twice");
            }
            reading.pause(paused.contains(split.shardId()));
            metrics.shard(split.shardId(), reading::behindMs);
        }
        renewTurns();
        beginAll();
        loop.wake();
    }

    private void renewTurns() {
        turns = List.copyOf(readings.values());
    }

    private void beginAll() {
        if (settings.isFanOut() && consumerArn == null) {
            return;
        }
        for (ShardReading<T> reading : readings.values()) {
            if (!reading.hasBegun() && !reading.hasEnded()) {
                reading.begin(feed(reading));
            }
        }
    }

    private ShardFeed feed(ShardReading<T> reading) {
        return settings.isFanOut()
                ? new FanOutFeed(
                        loop, client, settings, metrics, consumerArn, reading.shard(), reading.position(), reading)
                : new PollingFeed(loop, client, settings, metrics, reading.shard(), reading.position(), reading);
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        if (event instanceof ShardsEndedHeard heard) {
            untold.removeAll(heard.shards());
            readings.keySet().removeAll(heard.shards());
            renewTurns();
        } else if (event instanceof ShardNews news) {
            time.heard(news);
        } else if (event instanceof FanOutConsumer consumer) {
            consumerArn = consumer.arn();
            beginAll();
        }
        loop.wake();
    }

    @Override
    public void pauseOrResumeSplits(Collection<String> splitsToPause, Collection<String> splitsToResume) {
        splitsToPause.forEach(shard -> pause(shard, true));
        splitsToResume.forEach(shard -> pause(shard, false));
        loop.wake();
    }

    private void pause(String shard, boolean isPaused) {
        if (isPaused) {
            paused.add(shard);
        } else {
            paused.remove(shard);
        }
        ShardReading<T> reading = readings.get(shard);
        if (reading != null) {
            reading.pause(isPaused);
        }
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        boolean hasReady = turns.stream().anyMatch(ShardReading::isReady);
        return hasReady ? CompletableFuture.completedFuture(null) : loop.available();
    }

    /** A stream has no end: there are always more shards. */
    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {
        loop.close();
        readings.values().forEach(ShardReading::close);
        client.close();
    }

    private static final class ToOutput<T> implements Collector<T> {

        private SourceOutput<T> output;
        private long arrivalMs;

        @Override
        public void collect(T element) {
            output.collect(element, arrivalMs);
        }

        @Override
        public void close() {}
    }
}
