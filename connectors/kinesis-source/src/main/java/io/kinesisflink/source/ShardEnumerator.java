package io.kinesisflink.source;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SplitsAssignment;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;

/**
 * Hands the shards of a stream out to subtasks, each when {@link ShardOrder} releases it.
 *
 * <p>Subtasks do not take up the shards of their restored state by themselves. They report them when they register, and get
 * them from here, so that each shard is read by the subtask that {@link ShardAssigner} says, whatever the parallelism was.
 *
 * <p>Of each shard somebody has the one position that counts. Before it is handed out and after it was given back, that is
 * {@code pending}; then the subtask that {@code owners} names. Only that subtask can give it back: what another one reports
 * of its state was handed on to the owner before.
 */
final class ShardEnumerator implements SplitEnumerator<ShardSplit, EnumeratorState> {

    private static final Logger LOG = LoggerFactory.getLogger(ShardEnumerator.class);

    /** For so long after it was told for the first time a subtask is told that the children of a shard are being read. */
    private static final long TOLD_FOR_MS = 60_000;

    /** After so long without a checkpoint for which shards wait the log says so. */
    private static final long CHECKPOINTS_WITHIN_MS = 600_000;

    private final SplitEnumeratorContext<ShardSplit> context;
    private final Settings settings;
    private final KinesisAsyncClient client;
    private final LongSupplier clock;
    private final Consumer<ShardPosition> onBeginning;
    private final Listing listing;
    private final ShardOrder order;

    private final Map<String, ShardSplit> pending = new LinkedHashMap<>();
    private final Map<String, Integer> owners = new HashMap<>();
    private final Map<String, Long> succeededSince = new HashMap<>();
    private final Map<Integer, ShardNews> told = new HashMap<>();
    private final Set<Integer> knowConsumer = new HashSet<>();
    private final Set<Integer> registeredOnce = new HashSet<>();

    private ShardPosition beginning;
    private boolean wasListed;
    private boolean isRestored;
    private long listedAt = Long.MIN_VALUE;
    private String consumerArn;
    private long calmSince;

    /**
     * Takes the state of a checkpoint, null at a first start, and who is told where reading begins when that is known.
     * Closes the client in the end.
     */
    ShardEnumerator(
            SplitEnumeratorContext<ShardSplit> context,
            Settings settings,
            EnumeratorState restored,
            Consumer<ShardPosition> onBeginning,
            KinesisAsyncClient client,
            LongSupplier clock,
            DoubleSupplier random) {
        this.context = context;
        this.settings = settings;
        this.onBeginning = onBeginning;
        this.client = client;
        this.clock = clock;
        this.isRestored = restored != null;
        if (restored == null) {
            beginning = settings.beginning();
            order = new ShardOrder(Set.of(), Set.of(), settings.given());
        } else {
            beginning = restored.beginning() == null ? settings.beginning() : restored.beginning();
            wasListed = restored.wasListed();
            Map<String, ShardPosition> given = new LinkedHashMap<>(settings.given());
            given.putAll(restored.given());
            order = new ShardOrder(restored.started(), restored.ended(), given);
            restored.pending().forEach(split -> pending.put(split.shardId(), split));
        }
        calmSince = clock.getAsLong();
        listing = new Listing(settings, client, beginning, clock, random);
    }

    @Override
    public void start() {
        context.callAsync(listing::list, this::found, 0, settings.discoveryMs());
    }

    private void found(Listing.Found found, Throwable failure) {
        if (failure != null) {
            throw new FlinkRuntimeException(failure.getMessage(), failure);
        }
        if (found == null) {
            return;
        }
        consumerArn = found.consumerArn();
        beginning = found.beginning();
        onBeginning.accept(beginning);
        boolean all = !wasListed && beginning.isTime() && settings.given().isEmpty();
        wasListed = true;
        listedAt = found.listedAtMs();
        order.listed(found.shards(), listedAt);
        release(all);
        owners.keySet().removeIf(shard -> !order.hasStarted(shard) && !order.hasEnded(shard));
        succeededSince.keySet().removeIf(shard -> !order.hasEnded(shard));
        tellNews(context.registeredReaders().keySet());
        warnOfMissingCheckpoints();
    }

    private void release(boolean all) {
        if (!wasListed) {
            return;
        }
        order.release(beginning, all, clock.getAsLong()).forEach((shard, position) -> {
            LOG.info("Shard {} is read from {}", shard.id(), position);
            pending.put(shard.id(), ShardSplit.of(shard, position));
        });
        assign();
    }

    private void assign() {
        if (settings.isFanOut() && consumerArn == null) {
            return;
        }
        Set<Integer> registered = context.registeredReaders().keySet();
        Map<Integer, List<ShardSplit>> assignment = new TreeMap<>();
        for (Iterator<ShardSplit> splits = pending.values().iterator(); splits.hasNext(); ) {
            ShardSplit split = splits.next();
            int subtask = subtaskOf(split.shardId());
            if (registered.contains(subtask)) {
                assignment.computeIfAbsent(subtask, name -> new ArrayList<>()).add(split);
                owners.put(split.shardId(), subtask);
                splits.remove();
            }
        }
        if (settings.isFanOut()) {
            assignment.keySet().stream().filter(knowConsumer::add).forEach(this::tellConsumer);
        }
        if (!assignment.isEmpty()) {
            context.assignSplits(new SplitsAssignment<>(assignment));
        }
    }

    private void tellConsumer(int subtask) {
        context.sendEventToSourceReader(subtask, new FanOutConsumer(consumerArn));
    }

    private int subtaskOf(String shard) {
        int parallelism = context.currentParallelism();
        int subtask = settings.assigner().subtaskOf(shard, parallelism);
        if (subtask < 0 || subtask >= parallelism) {
            throw new IllegalStateException(
                    "The assigner of shards names subtask " + subtask + " of " + parallelism + " for " + shard);
        }
        return subtask;
    }

    /** Nobody asks for shards: they are handed out as they are released. */
    @Override
    public void handleSplitRequest(int subtask, String host) {}

    @Override
    public void addReader(int subtask) {
        knowConsumer.remove(subtask);
        told.remove(subtask);
        ReaderInfo reader = context.registeredReaders().get(subtask);
        if (reader == null) {
            return;
        }
        List<ShardSplit> reported = reader.getReportedSplitsOnRegistration();
        reported.forEach(split -> takeReported(split, subtask));
        release(false);
        assign();
        checkAllReported(subtask);
        if (listedAt != Long.MIN_VALUE) {
            tellNews(Set.of(subtask));
        }
    }

    private void takeReported(ShardSplit split, int subtask) {
        String shard = split.shardId();
        if (split.position().isEnd()) {
            pending.remove(shard);
            order.ended(shard);
            owners.put(shard, subtask);
        } else if (!pending.containsKey(shard) && owners.getOrDefault(shard, subtask) == subtask) {
            order.begun(shard);
            pending.put(shard, split);
            owners.remove(shard);
        }
    }

    /** What the restored state says was handed out has to be in the state of some subtask, or records would be lost. */
    private void checkAllReported(int subtask) {
        registeredOnce.add(subtask);
        if (!isRestored || registeredOnce.size() < context.currentParallelism()) {
            return;
        }
        isRestored = false;
        for (String shard : order.started()) {
            if (!pending.containsKey(shard) && !owners.containsKey(shard)) {
                throw new IllegalStateException("The restored state says that shard " + shard
                        + " is being read, but no subtask has a position of it: restore another checkpoint");
            }
        }
    }

    @Override
    public void addSplitsBack(List<ShardSplit> splits, int subtask) {
        for (ShardSplit split : splits) {
            String shard = split.shardId();
            if (!order.hasEnded(shard) && owners.getOrDefault(shard, subtask) == subtask) {
                owners.remove(shard);
                pending.putIfAbsent(shard, split);
            }
        }
        assign();
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        if (event instanceof ShardsEnded ended) {
            for (String shard : ended.shards()) {
                pending.remove(shard);
                order.ended(shard);
                owners.put(shard, subtask);
            }
            if (context.registeredReaders().containsKey(subtask)) {
                context.sendEventToSourceReader(subtask, new ShardsEndedHeard(ended.shards()));
            }
            release(false);
        }
    }

    private void tellNews(Set<Integer> subtasks) {
        long now = clock.getAsLong();
        Map<Integer, Set<String>> closed = new HashMap<>();
        Map<Integer, Set<String>> succeeded = new HashMap<>();
        owners.forEach((shard, owner) -> {
            if (!subtasks.contains(owner)) {
                return;
            }
            if (order.hasStarted(shard) && order.hasChildren(shard)) {
                closed.computeIfAbsent(owner, name -> new TreeSet<>()).add(shard);
            } else if (hasJustSucceeded(shard, now)) {
                succeeded.computeIfAbsent(owner, name -> new TreeSet<>()).add(shard);
            }
        });
        Map<Integer, Integer> waiting = waitingBySubtask();
        for (int subtask : subtasks) {
            tell(
                    subtask,
                    new ShardNews(
                            listedAt,
                            waiting.getOrDefault(subtask, 0),
                            closed.getOrDefault(subtask, new TreeSet<>()),
                            succeeded.getOrDefault(subtask, new TreeSet<>())));
        }
    }

    private void tell(int subtask, ShardNews news) {
        if (settings.emitsTimeOfLog() || !news.saysTheSameOfShards(told.get(subtask))) {
            told.put(subtask, news);
            context.sendEventToSourceReader(subtask, news);
        }
    }

    private boolean hasJustSucceeded(String shard, long now) {
        if (!order.hasEnded(shard) || !order.hasSuccessors(shard, now)) {
            return false;
        }
        return now - succeededSince.computeIfAbsent(shard, name -> now) < TOLD_FOR_MS;
    }

    /** Shards that are to be read by each subtask and that none has got: not released, or not handed out. */
    private Map<Integer, Integer> waitingBySubtask() {
        Map<Integer, Integer> waiting = new HashMap<>();
        order.waiting().forEach(shard -> waiting.merge(subtaskOf(shard), 1, Integer::sum));
        for (String shard : order.started()) {
            if (!owners.containsKey(shard)) {
                waiting.merge(subtaskOf(shard), 1, Integer::sum);
            }
        }
        return waiting;
    }

    private void warnOfMissingCheckpoints() {
        long now = clock.getAsLong();
        List<String> waiting = order.waiting();
        if (waiting.isEmpty() || !settings.hasCheckpoints()) {
            calmSince = now;
        } else if (now - calmSince >= CHECKPOINTS_WITHIN_MS) {
            calmSince = now;
            LOG.warn(
                    "The shards {} wait for a checkpoint that covers the ends of those they came of, and none has been taken for"
                            + " {} ms. If the job takes none, tell the source so: withoutCheckpoints()",
                    waiting,
                    CHECKPOINTS_WITHIN_MS);
        }
    }

    @Override
    public EnumeratorState snapshotState(long checkpoint) {
        calmSince = clock.getAsLong();
        return new EnumeratorState(
                beginning, wasListed, order.started(), order.ended(), List.copyOf(pending.values()), order.given());
    }

    @Override
    public void close() {
        client.close();
    }
}
