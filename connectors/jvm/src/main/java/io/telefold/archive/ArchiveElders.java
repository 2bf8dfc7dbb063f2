package io.telefold.archive;

import io.telefold.event.SequenceOrder;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * Which shards' archives are read before that of another where several subtasks read it up to positions, so that a device's
 * events stay in order whose shard was split or merged.
 *
 * <p>An archive does not say of which shards one came. But it has a greater number than they, and its first record comes after
 * their last: every shard of which both is true is waited for, a parent or not, until a completed checkpoint covers its end,
 * as shards of the stream wait for those they came of. Those of the same subtask are read in the order of their numbers.
 */
public final class ArchiveElders {

    private final Map<String, String> ends;
    private final Predicate<String> isMine;
    private final Map<String, String> firsts = new HashMap<>();
    private final Set<String> read = new HashSet<>();
    private final NavigableMap<Long, Set<String>> snapshots = new TreeMap<>();
    private final Set<String> untold = new HashSet<>();

    /** Takes the last position of each shard, and which shards this subtask reads. */
    public ArchiveElders(Map<String, String> ends, Predicate<String> isMine) {
        this.ends = ends;
        this.isMine = isMine;
    }

    /** The archive of this shard begins with the record at {@code first}. */
    public void begins(String shard, String first) {
        firsts.putIfAbsent(shard, first);
    }

    /** Whether another subtask has still to read what may lie before this shard. */
    public boolean areToBeRead(String shard) {
        String first = firsts.get(shard);
        return ends.keySet().stream()
                .filter(other -> !isMine.test(other) && !read.contains(other))
                .anyMatch(other -> other.compareTo(shard) < 0 && SequenceOrder.isAfter(first, ends.get(other)));
    }

    /** How far its shards have been read when its state is taken for a checkpoint. */
    public void snapshot(long checkpoint, UnaryOperator<String> reached) {
        snapshots.put(checkpoint, readBy(reached));
    }

    public void completed(long checkpoint) {
        NavigableMap<Long, Set<String>> covered = snapshots.headMap(checkpoint, true);
        covered.values().forEach(this::covered);
        covered.clear();
    }

    /** Nothing before {@code reached} is read again. */
    public void covered(UnaryOperator<String> reached) {
        covered(readBy(reached));
    }

    private void covered(Collection<String> shards) {
        shards.stream().filter(read::add).forEach(untold::add);
    }

    /** What the other subtasks are to be told, and has not been heard since. */
    public Set<String> untold() {
        return new HashSet<>(untold);
    }

    /** All subtasks together have said that these have been read for good. */
    public void heard(Set<String> shards) {
        untold.removeAll(shards);
        read.addAll(shards);
    }

    private Set<String> readBy(UnaryOperator<String> reached) {
        return ends.keySet().stream()
                .filter(isMine)
                .filter(shard -> !SequenceOrder.isAfter(ends.get(shard), reached.apply(shard)))
                .collect(Collectors.toSet());
    }
}
