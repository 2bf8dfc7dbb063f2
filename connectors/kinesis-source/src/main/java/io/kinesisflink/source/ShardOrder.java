package io.kinesisflink.source;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Which shards of a stream may be read, so that what has one partition key stays in order when its shard is split or
 * merged.
 *
 * <p>A shard is released once its parents and theirs have ended for good: a completed checkpoint covers their ends, so every
 * operator has taken what they held, and no restore goes back behind it. A parent that no listing shows and nobody reads
 * has expired. A shard with a starting position of its own is released at once, since somebody has read it in order up to
 * there.
 *
 * <p>Used by one thread. All times are epoch milliseconds.
 */
final class ShardOrder {

    /** Whoever is to read a released shard has got it within this time, and has asked for its first records. */
    static final long BEGUN_WITHIN_MS = 5_000;

    /** A shard that listings have not shown for so long is no passing fault of a listing: it has expired. */
    static final long FORGOTTEN_AFTER_MS = 3_600_000;

    private final Set<String> started = new TreeSet<>();
    private final Set<String> ended = new TreeSet<>();
    private final Map<String, ShardPosition> given = new LinkedHashMap<>();
    private final Map<String, ListedShard> listed = new TreeMap<>();
    private final Map<String, Long> releasedAt = new HashMap<>();
    private final Map<String, Long> missingSince = new HashMap<>();
    private final Map<String, List<String>> children = new HashMap<>();

    /** Takes what is known from before, which is nothing at a first start, and starting positions by shard. */
    ShardOrder(Set<String> started, Set<String> ended, Map<String, ShardPosition> given) {
        this.started.addAll(started);
        this.ended.addAll(ended);
        given.forEach((shard, position) -> {
            if (position.isEnd()) {
                if (!started.contains(shard)) {
                    this.ended.add(shard);
                }
            } else if (!started.contains(shard) && !ended.contains(shard)) {
                this.given.put(shard, position);
            }
        });
    }

    /** The stream has just these shards, of those that are within its retention. */
    void listed(Collection<ListedShard> shards, long now) {
        listed.clear();
        children.clear();
        for (ListedShard shard : shards) {
            listed.put(shard.id(), shard);
            for (String parent : shard.parents()) {
                children.computeIfAbsent(parent, name -> new ArrayList<>()).add(shard.id());
            }
        }
        forgetExpired(now);
    }

    private void forgetExpired(long now) {
        missingSince.keySet().removeIf(shard -> listed.containsKey(shard) || !ended.contains(shard));
        for (String shard : ended) {
            if (!listed.containsKey(shard)) {
                missingSince.putIfAbsent(shard, now);
            }
        }
        missingSince.forEach((shard, since) -> {
            if (now - since >= FORGOTTEN_AFTER_MS) {
                ended.remove(shard);
                releasedAt.remove(shard);
            }
        });
    }

    /**
     * Releases what may be read now and has not been, and returns where each begins. With {@code all} that is every shard,
     * as where reading begins somewhere in the stream: there is nothing before them that was asked for.
     */
    Map<ListedShard, ShardPosition> release(ShardPosition beginning, boolean all, long now) {
        Map<ListedShard, ShardPosition> released = new LinkedHashMap<>();
        for (ListedShard shard : listed.values()) {
            String id = shard.id();
            if (isWaiting(id) && (all || given.containsKey(id) || haveEnded(shard.parents(), new HashSet<>()))) {
                ShardPosition position = given.remove(id);
                released.put(shard, position == null ? beginning : position);
            }
        }
        released.keySet().forEach(shard -> {
            started.add(shard.id());
            releasedAt.put(shard.id(), now);
        });
        return released;
    }

    /** A shard was begun, by what a subtask says that has it in its state. */
    void begun(String shard) {
        ended.remove(shard);
        started.add(shard);
        given.remove(shard);
    }

    /** Nothing will read this shard again. */
    void ended(String shard) {
        started.remove(shard);
        ended.add(shard);
    }

    boolean hasStarted(String shard) {
        return started.contains(shard);
    }

    boolean hasEnded(String shard) {
        return ended.contains(shard);
    }

    /** Whether it was split or merged, as far as is known, so that nothing arrives in it any more. */
    boolean hasChildren(String shard) {
        return children.containsKey(shard);
    }

    /** Whether all children of a shard are being read. They are listed a little after their parent was closed. */
    boolean hasSuccessors(String shard, long now) {
        List<String> all = children.get(shard);
        return all != null && all.stream().allMatch(child -> isBeingRead(child, now));
    }

    private boolean isBeingRead(String shard, long now) {
        return ended.contains(shard)
                || started.contains(shard) && releasedAt.getOrDefault(shard, Long.MIN_VALUE) <= now - BEGUN_WITHIN_MS;
    }

    /** The shards that are to be read but have not been released. */
    List<String> waiting() {
        return listed.keySet().stream().filter(this::isWaiting).toList();
    }

    Set<String> started() {
        return new TreeSet<>(started);
    }

    Set<String> ended() {
        return new TreeSet<>(ended);
    }

    Map<String, ShardPosition> given() {
        return new LinkedHashMap<>(given);
    }

    private boolean isWaiting(String shard) {
        return !started.contains(shard) && !ended.contains(shard);
    }

    /** Whether these have ended, and all of which they came: those that were released all at once may end in any order. */
    private boolean haveEnded(List<String> shards, Set<String> seen) {
        for (String shard : shards) {
            boolean isOver = ended.contains(shard) || !listed.containsKey(shard) && !started.contains(shard);
            boolean isNew = seen.add(shard) && listed.containsKey(shard);
            if (!isOver || isNew && !haveEnded(listed.get(shard).parents(), seen)) {
                return false;
            }
        }
        return true;
    }
}
