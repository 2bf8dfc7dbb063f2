package io.telefold;

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
 * The archived records of one shard in the order of their sequence numbers, from behind a start up to and including an
 * end.
 *
 * <p>Files of one hour follow one another. Those of neighbouring hours may overlap, because Kinesis does not promise
 * that arrivals rise with sequence numbers: their records are merged.
 */
final class ArchiveLane implements Closeable {

    private final String shard;
    private final String start;
    private final String end;
    private final PriorityQueue<ArchiveFile> unopened =
            new PriorityQueue<>(Comparator.comparing((ArchiveFile file) -> file.first, SequenceOrder.INSTANCE));
    private final PriorityQueue<ArchiveFileReader> opened =
            new PriorityQueue<>(Comparator.comparing(ArchiveFileReader::sequenceNumber, SequenceOrder.INSTANCE));
    private final Map<ArchiveFileReader, Long> bytesOf = new HashMap<>();
    private ArchiveFileReader current;

    /** Which of them the last record came from. */
    private ArchiveFileReader latest;

    /** Beyond this sequence number of {@code current}, another file is next; null if there is none. */
    private String turn;

    private String position;
    private boolean begun;
    private boolean reachesBeyondEnd;
    private volatile long bytes;
    private volatile long bytesLeft;

    /** Null as start is the first record, as end the last. */
    ArchiveLane(String shard, String start, String end) {
        this.shard = shard;
        this.start = start;
        this.end = end;
    }

    /**
     * Adds files, to be called when {@link #next} has nothing more to give.
     *
     * <p>Raises IOException for a file that belongs before records that were read already: they are lost to this
     * reading, which has to begin again.
     */
    void add(Collection<ArchiveFile> files) throws IOException {
        List<ArchiveFile> wanted = files.stream()
                .filter(file -> end == null || !SequenceOrder.isAfter(file.first, end))
                .sorted(unopened.comparator())
                .collect(Collectors.toList());
        String reached = SequenceOrder.greater(start, position);
        if (begun && !wanted.isEmpty() && !SequenceOrder.isAfter(wanted.get(0).first, reached)) {
            throw new IOException("The archive file " + wanted.get(0) + " was finished after later records of "
                    + shard + " had been read; begin to read the archive again");
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
     * comes once; records of one file that share a sequence number, as aggregating producers make them, all come.
     */
    boolean next() throws IOException {
        while (advance()) {
            if (current == latest || SequenceOrder.isAfter(current.sequenceNumber(), position)) {
                latest = current;
                position = current.sequenceNumber();
                return true;
            }
        }
        return false;
    }

    private boolean advance() throws IOException {
        if (current != null && !current.next()) {
            finish(current);
            current = null;
        }
        if (current == null || turn != null && SequenceOrder.isAfter(current.sequenceNumber(), turn)) {
            takeTurn();
        }
        if (current != null && end != null && SequenceOrder.isAfter(current.sequenceNumber(), end)) {
            reachesBeyondEnd = true;
            close();
        }
        return current != null;
    }

    /** The record that {@link #next} moved to. */
    ArchiveFileReader record() {
        return current;
    }

    String shard() {
        return shard;
    }

    /** Whether the files hold all that there is up to the end, or the start is beyond it. */
    boolean isComplete() {
        return end == null
                || reachesBeyondEnd
                || !SequenceOrder.isAfter(end, SequenceOrder.greater(start, position));
    }

    /** The size of all files added. */
    long bytes() {
        return bytes;
    }

    /** The size of the files of which not all was read. */
    long bytesLeft() {
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
        turn = opened.isEmpty() ? null : opened.peek().sequenceNumber();
        if (!unopened.isEmpty() && (turn == null || SequenceOrder.isAfter(turn, unopened.peek().first))) {
            turn = unopened.peek().first;
        }
    }

    private void open(ArchiveFile file) throws IOException {
        ArchiveFileReader reader = new ArchiveFileReader(file.path, file.bytes);
        bytesOf.put(reader, file.bytes);
        while (reader.next()) {
            if (SequenceOrder.isAfter(reader.sequenceNumber(), start)) {
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

    /** All files but those that, by the first records of later ones, can have nothing behind the start. */
    private List<ArchiveFile> withoutRead(List<ArchiveFile> sorted) {
        Map<Long, ArchiveFile> lastBegun = new HashMap<>();
        long lastHour = Long.MIN_VALUE;
        for (ArchiveFile file : sorted) {
            if (!SequenceOrder.isAfter(file.first, start)) {
                lastBegun.put(file.hour, file);
                lastHour = Math.max(lastHour, file.hour);
            }
        }
        long neighbour = lastHour - 1;
        return sorted.stream()
                .filter(file -> SequenceOrder.isAfter(file.first, start)
                        || file.hour >= neighbour && lastBegun.get(file.hour) == file)
                .collect(Collectors.toList());
    }

    private static boolean isAfter(ArchiveFileReader reader, ArchiveFile file) {
        return SequenceOrder.isAfter(reader.sequenceNumber(), file.first);
    }
}
