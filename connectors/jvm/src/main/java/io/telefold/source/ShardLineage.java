package io.telefold.source;

import io.telefold.event.SequenceOrder;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * Which shards of a stream may be read, so that a device's events stay in order when its shard is split or merged.
 *
 * <p>A shard is released once its parents have ended for good: a completed checkpoint covers their ends, so all that
 * they held has gone through every operator, and no restore goes back behind it. A parent that no listing shows has
 * expired. Each subtask has one of these, and tells the others which of its own shards have ended for good.
 *
 * <p>Written by the thread that looks for shards, by those that read them and by the task's own. All times are epoch
 * milliseconds of the wall clock.
 */
final class ShardLineage {

    /** Whoever is to read a released shard has seen that it may, and has asked for its first records. */
    static final long BEGUN_WITHIN_MS = 5_000;

    private final Set<String> started;
    private final Set<String> endedForGood;
    private boolean allAtFirst;
    private final Map<String, List<String>> parents = new HashMap<>();
    private final Set<String> withChildren = new HashSet<>();
    private final Map<String, Long> released = new HashMap<>();
    private final Set<String> ended = new HashSet<>();
    private final NavigableMap<Long, Set<String>> snapshots = new TreeMap<>();
    private final Set<String> untold = new HashSet<>();

    /**
     * Takes the restored positions by shard, those of other subtasks too: a shard that has one was released before.
     * With {@code allAtFirst} the first release is of all shards, as where reading begins somewhere in the stream:
     * what is kept back is read from its beginning.
     */
    ShardLineage(Map<String, String> restored, boolean allAtFirst) {
        this.started = restored.keySet();
        this.endedForGood = started.stream()
                .filter(shard -> SequenceOrder.isEnd(restored.get(shard)))
                .collect(Collectors.toSet());
        this.allAtFirst = allAtFirst;
    }

    /** The stream has this shard, whoever reads it; parents may be null. */
    synchronized void listed(String shard, String... parents) {
        List<String> named = Arrays.stream(parents).filter(Objects::nonNull).collect(Collectors.toList());
        this.parents.put(shard, named);
        withChildren.addAll(named);
    }

    /** Releases what may be read now; to be called after each listing. */
    synchronized void release(long now) {
        for (String shard : parents.keySet()) {
            if (allAtFirst || started.contains(shard) || haveParentsEnded(shard)) {
                released.putIfAbsent(shard, now);
            }
        }
        allAtFirst = false;
        ended.removeIf(shard -> hasSuccessors(shard, now));
    }

    synchronized boolean isReleased(String shard) {
        return released.containsKey(shard);
    }

    synchronized boolean hasEndedForGood(String shard) {
        return endedForGood.contains(shard);
    }

    /** Whether it was split or merged, as far as is known, so that nothing arrives in it any more. */
    synchronized boolean hasChildren(String shard) {
        return withChildren.contains(shard);
    }

    /** This subtask has read a shard to its end. */
    synchronized void ended(String shard) {
        ended.add(shard);
    }

    /** Its shards that had ended when its state was taken for a checkpoint. */
    synchronized void snapshot(long checkpoint, Collection<String> ended) {
        if (!endedForGood.containsAll(ended)) {
            snapshots.put(checkpoint, new HashSet<>(ended));
        }
    }

    /** A checkpoint is complete. Those that were not stay without meaning. */
    synchronized void completed(long checkpoint) {
        NavigableMap<Long, Set<String>> covered = snapshots.headMap(checkpoint, true);
        covered.values().forEach(this::covered);
        covered.clear();
    }

    /** Nothing will read these shards of this subtask again. */
    synchronized void covered(Collection<String> ended) {
        ended.stream().filter(endedForGood::add).forEach(untold::add);
    }

    /** What the other subtasks are to be told of: shards of this one that have ended for good. */
    synchronized Set<String> untold() {
        return new HashSet<>(untold);
    }

    /** Whether there is something to tell, or something to hear from the others that a shard waits for. */
    synchronized boolean hasToAsk() {
        return !untold.isEmpty() || released.size() < parents.size();
    }

    /** {@code told} was told, and all subtasks together have said that {@code endedForGood} have. */
    synchronized void heard(Collection<String> told, Collection<String> endedForGood) {
        untold.removeAll(told);
        this.endedForGood.addAll(endedForGood);
    }

    /** How many shards this subtask has read to their ends whose children have yet to be read on with. */
    synchronized int withoutSuccessors(long now) {
        return (int) ended.stream().filter(shard -> !hasSuccessors(shard, now)).count();
    }

    private boolean haveParentsEnded(String shard) {
        return parents.get(shard).stream()
                .allMatch(parent -> !parents.containsKey(parent) || endedForGood.contains(parent));
    }

    /** A closed shard has children always; they are listed a little later. */
    private boolean hasSuccessors(String shard, long now) {
        List<Long> children = parents.keySet().stream()
                .filter(child -> parents.get(child).contains(shard))
                .map(child -> released.getOrDefault(child, Long.MAX_VALUE))
                .collect(Collectors.toList());
        return !children.isEmpty() && Collections.max(children) <= now - BEGUN_WITHIN_MS;
    }
}
