package io.telefold.source;

import io.telefold.archive.ArchiveFile;
import io.telefold.archive.ArchiveLane;
import io.telefold.archive.ArchiveLanes;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.SequenceOrder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The archived shards that a subtask reads, how far each was read, and the files of it that are still to be read.
 *
 * <p>Used by the subtask's thread, but for {@link #newFiles}, which may take long.
 */
final class ArchivedShards {

    private static final Logger LOG = LoggerFactory.getLogger(ArchivedShards.class);

    private final ArchiveReading archive;
    private final ArchiveLanes files;
    private final Set<String> assigned = ConcurrentHashMap.newKeySet();
    private final Map<String, String> reached = new ConcurrentHashMap<>();
    private final SortedMap<String, ArchiveLane> lanes = new TreeMap<>();
    private final Set<String> heldOnce = new HashSet<>();
    private SortedMap<String, List<ArchiveFile>> unsettled = new TreeMap<>();
    private volatile long bytes;
    private volatile long bytesLeft;

    ArchivedShards(ArchiveReading archive) {
        this.archive = archive;
        this.files = new ArchiveLanes(archive.path, archive.sinceMs, archive.untilMs, this::hasUnread);
    }

    /** The subtask is to read this shard behind a position; null stands for all of it. */
    void assign(String shard, String position) {
        assigned.add(shard);
        reach(shard, position);
    }

    void reach(String shard, String position) {
        if (position != null) {
            reached.merge(shard, position, SequenceOrder::greater);
        }
    }

    /** The last record read of a shard, null if there is none. */
    String reached(String shard) {
        return reached.get(shard);
    }

    boolean isMine(String shard) {
        return !archive.goesOnWithTheStream() || assigned.contains(shard);
    }

    /** Whether the archive may have something for this subtask in any shard. */
    boolean haveUnread() {
        return !archive.goesOnWithTheStream() || assigned.stream().anyMatch(this::hasUnread);
    }

    private boolean hasUnread(String shard) {
        if (!isMine(shard) || !archive.hasLane(shard)) {
            return false;
        }
        String end = archive.end(shard);
        return end == null || SequenceOrder.isAfter(end, reached(shard));
    }

    /** By shard the files that no call returned before. */
    SortedMap<String, List<ArchiveFile>> newFiles() throws IOException, InterruptedException {
        return files.newFiles();
    }

    /** Those with files or had some, in the order of their numbers. */
    List<ArchiveLane> lanes() {
        return List.copyOf(lanes.values());
    }

    void take(SortedMap<String, List<ArchiveFile>> found) throws IOException {
        for (Map.Entry<String, List<ArchiveFile>> shard : found.entrySet()) {
            laneOf(shard.getKey()).add(shard.getValue());
        }
        countBytes();
    }

    /**
     * Takes the files that the listing before this one found, up to the first that is new. A checkpoint finishes
     * several files of a shard one after the other in any order: a file between two others may be seen last. So
     * what the archive holds at some time has been read when the second round that began after it is over. A shard that
     * is new waits a round longer if one of a lesser number has new files, which may be what lay before it.
     */
    void takeSettled(SortedMap<String, List<ArchiveFile>> found) throws IOException {
        SortedMap<String, List<ArchiveFile>> settled = new TreeMap<>();
        SortedMap<String, List<ArchiveFile>> waiting = new TreeMap<>(found);
        unsettled.forEach((shard, files) -> {
            List<ArchiveFile> fresh = found.getOrDefault(shard, List.of());
            List<ArchiveFile> all = new ArrayList<>(files);
            all.addAll(fresh);
            all.sort(Comparator.comparing(file -> file.first, SequenceOrder.INSTANCE));
            boolean mayHaveParents =
                    !lanes.containsKey(shard) && !found.headMap(shard).isEmpty();
            int ready = mayHaveParents && heldOnce.add(shard)
                    ? 0
                    : fresh.isEmpty() ? all.size() : all.indexOf(fresh.get(0));
            settled.put(shard, all.subList(0, ready));
            waiting.put(shard, all.subList(ready, all.size()));
        });
        settled.values().removeIf(List::isEmpty);
        waiting.values().removeIf(List::isEmpty);
        unsettled = waiting;
        take(settled);
    }

    private ArchiveLane laneOf(String shard) {
        return lanes.computeIfAbsent(
                shard, name -> new ArchiveLane(name, reached(name), archive.end(name), this::foundHole));
    }

    /** Of a range only a part of the files is read: what comes before and between may be in the others. */
    private void foundHole(String hole) throws IOException {
        if (!archive.goesOnWithTheStream() && !archive.goesOnWithNewFiles()) {
            return;
        }
        String lacks = "The archive " + archive.path + " lacks records " + hole;
        if (!archive.despiteHoles) {
            throw new IOException(lacks + ": restore its files from a copy, or go on without them"
                    + " (telefold.archive/despite.holes, --despite-holes)");
        }
        LOG.warn("{}; it is read on without them", lacks);
    }

    /** IOException if the archive ends before a position that it is to be read up to. */
    void checkComplete() throws IOException {
        for (String shard : new TreeSet<>(assigned)) {
            if (archive.hasLane(shard) && !laneOf(shard).isComplete()) {
                throw new IOException("The archive " + archive.path + " ends at " + reached(shard) + " of " + shard
                        + ", before " + archive.end(shard) + "; give a position that it reaches");
            }
        }
    }

    void countBytes() {
        long seen = 0;
        long left = 0;
        for (List<ArchiveFile> waiting : unsettled.values()) {
            for (ArchiveFile file : waiting) {
                seen += file.bytes;
                left += file.bytes;
            }
        }
        for (ArchiveLane lane : lanes.values()) {
            seen += lane.bytes();
            left += lane.bytesLeft();
        }
        bytes = seen;
        bytesLeft = left;
    }

    /** The size of all files found. For any thread. */
    long bytes() {
        return bytes;
    }

    /** The size of the files of which not all was read. For any thread. */
    long bytesLeft() {
        return bytesLeft;
    }

    /** All that were assigned or read, as they are written into a checkpoint. */
    List<LogSplit> state() {
        Set<String> shards = new TreeSet<>(assigned);
        shards.addAll(reached.keySet());
        return shards.stream()
                .<LogSplit>map(shard -> new LogSplit.OfArchive(shard, reached(shard)))
                .toList();
    }

    void close() throws IOException {
        for (ArchiveLane lane : lanes.values()) {
            lane.close();
        }
    }
}
