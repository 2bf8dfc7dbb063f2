package io.telefold.archive;

import io.telefold.event.SequenceOrder;
import java.io.Closeable;
import java.io.IOException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.stream.Collectors;

/**
 * The archived records of one shard in their order, from behind a start up to and including an
 * end.
 *
 * <p>Files of one hour follow one another. Those of neighbouring hours may overlap, because Kinesis does not promise
 * that arrivals rise with sequence numbers: their records are merged.
 */
public final class ArchiveLane implements Closeable {

    private final String shard;
    private final String start;
    private final String end;
    private final OnHole onHole;
    private final PriorityQueue<ArchiveFile> unopened =
            new PriorityQueue<>(Comparator.comparing((ArchiveFile file) -> file.first, SequenceOrder.INSTANCE));
    private final PriorityQueue<ArchiveFileReader> opened =
            new PriorityQueue<>(Comparator.comparing(ArchiveFileReader::position, SequenceOrder.INSTANCE));
    private final Map<ArchiveFileReader, Long> bytesOf = new HashMap<>();
    private ArchiveFileReader current;

    /** Which of them the last record came from. */
    private ArchiveFileReader latest;

    /** Beyond this position of {@code current}, another file is next; null if there is none. */
    private String turn;

    private String position;
    private boolean begun;
    private boolean reachesBeyondEnd;
    private volatile long bytes;
    private volatile long bytesLeft;

    /** What becomes of a reading that comes upon records that the archive lacks. */
    public interface OnHole {

        /** Goes on behind the hole unless it throws; {@code hole} says where it is. */
        void found(String hole) throws IOException;
    }

    /** Null as start is the first record, as end the last. */
    public ArchiveLane(String shard, String start, String end, OnHole onHole) {
        this.shard = shard;
        this.start = start;
        this.end = end;
        this.onHole = onHole;
    }

    /**
     * Adds files, to be called when {@link #next} has nothing more to give.
     *
     * <p>Raises IOException for a file that belongs before records that were read already: they are lost to this
     * reading, which has to begin again.
     */
    public void add(Collection<ArchiveFile> files) throws IOException {
        List<ArchiveFile> wanted = files.stream()
                .filter(file -> end == null || !SequenceOrder.isAfter(file.first, end))
                .sorted(unopened.comparator())
                .collect(Collectors.toList());
        String reached = SequenceOrder.greater(start, position);
        if (begun && !wanted.isEmpty() && !SequenceOrder.isAfter(wanted.get(0).first, reached)) {
            throw new IOException("The archive file " + wanted.get(0) + " was finished after later records of " + shard
                    + " had been read; begin to read the archive again");
        }
        List<ArchiveFile> unread = begun ? wanted : withoutRead(wanted);
        begun = begun || !files.isEmpty();
        reachesBeyondEnd = reachesBeyondEnd || wanted.size() < files.size();
        unopened.addAll(unread);
        bytes += wanted.stream().mapToLong(file -> file.bytes).sum();
        bytesLeft += unread.stream().mapToLong(file -> file.bytes).sum();
    }

    /**
     * Moves on to the next record, if there is one. A record that is in two files, as after a job was started over,
     * comes once. Of records that were aggregated, earlier builds did not note which was which: all that one file has
     * come.
     */
    public boolean next() throws IOException {
        while (advance()) {
            if (current == latest || SequenceOrder.isAfter(current.position(), position)) {
                checkPrevious();
                latest = current;
                position = current.position();
                return true;
            }
        }
        return false;
    }

    private void checkPrevious() throws IOException {
        String reached = SequenceOrder.greater(start, position);
        String previous = current.previous();
        boolean isHole = previous == null ? reached != null : SequenceOrder.isAfter(previous, reached);
        if (current.knowsPrevious() && isHole) {
            String behind = reached == null ? "its first record" : "behind " + reached;
            String upTo = previous == null ? "before " + current.position() : "up to " + previous;
            onHole.found("of " + shard + " from " + behind + " " + upTo);
        }
    }

    private boolean advance() throws IOException {
        if (current != null && !current.next()) {
            finish(current);
            current = null;
        }
        if (current == null || turn != null && SequenceOrder.isAfter(current.position(), turn)) {
            takeTurn();
        }
        if (current != null && end != null && SequenceOrder.isAfter(current.position(), end)) {
            reachesBeyondEnd = true;
            close();
        }
        return current != null;
    }

    /** The record that {@link #next} moved to. */
    public ArchiveFileReader record() {
        return current;
    }

    public String shard() {
        return shard;
    }

    /** Whether the files hold all that there is up to the end, or the start is beyond it. */
    public boolean isComplete() {
        return end == null || reachesBeyondEnd || !SequenceOrder.isAfter(end, SequenceOrder.greater(start, position));
    }

    /** The size of all files added. */
    public long bytes() {
        return bytes;
    }

    /** The size of the files of which not all was read. */
    public long bytesLeft() {
        return bytesLeft;
    }

    @Override
    public void close() throws IOException {
        unopened.clear();
        opened.clear();
        current = null;
        for (ArchiveFileReader reader : bytesOf.keySet()) {
            reader.close();
        }
        bytesOf.clear();
        bytesLeft = 0;
    }

    private void takeTurn() throws IOException {
        if (current != null) {
            opened.add(current);
        }
        while (!unopened.isEmpty() && (opened.isEmpty() || isAfter(opened.peek(), unopened.peek()))) {
            open(unopened.poll());
        }
        current = opened.poll();
        turn = opened.isEmpty() ? null : opened.peek().position();
        if (!unopened.isEmpty() && (turn == null || SequenceOrder.isAfter(turn, unopened.peek().first))) {
            turn = unopened.peek().first;
        }
    }

    private void open(ArchiveFile file) throws IOException {
        ArchiveFileReader reader = new ArchiveFileReader(file.path, file.bytes);
        bytesOf.put(reader, file.bytes);
        while (reader.next()) {
            if (SequenceOrder.isAfter(reader.position(), start)) {
                opened.add(reader);
                return;
            }
        }
        finish(reader);
    }

    private void finish(ArchiveFileReader reader) throws IOException {
        bytesLeft -= bytesOf.remove(reader);
        reader.close();
    }

    /**
     * All files but those of hours that were read. Of an hour that was begun any file may have what is behind the start:
     * after a job was started over, its files lie beside those of before.
     */
    private List<ArchiveFile> withoutRead(List<ArchiveFile> sorted) {
        long lastBegun = sorted.stream()
                .filter(file -> !SequenceOrder.isAfter(file.first, start))
                .mapToLong(file -> file.hour)
                .max()
                .orElse(Long.MIN_VALUE + 1);
        return sorted.stream()
                .filter(file -> SequenceOrder.isAfter(file.first, start) || file.hour >= lastBegun - 1)
                .collect(Collectors.toList());
    }

    private static boolean isAfter(ArchiveFileReader reader, ArchiveFile file) {
        return SequenceOrder.isAfter(reader.position(), file.first);
    }
}
