package io.kinesisflink.sink;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The records that Kinesis has not taken, in lanes. Of a lane one record goes at a time: the next one goes when it was taken,
 * and one that was not taken goes again before all behind it. Where order counts a partition key is a lane, and otherwise
 * each record is one.
 */
final class Outbox {

    private final boolean isOrdered;
    private final int requestRecords;
    private final long requestBytes;

    /** Lanes whose first record may go, in the order in which they came to that. */
    private final Map<Object, Deque<PutEntry>> ready = new LinkedHashMap<>();

    /** Lanes whose first record is under way, or rests since it was not taken. */
    private final Map<Object, Deque<PutEntry>> busy = new HashMap<>();

    private long readyBytes;
    private int records;
    private long bytes;

    Outbox(boolean isOrdered, int requestRecords, long requestBytes) {
        this.isOrdered = isOrdered;
        this.requestRecords = requestRecords;
        this.requestBytes = requestBytes;
    }

    void add(PutEntry entry) {
        records++;
        bytes += entry.bytes();
        Object key = laneOf(entry);
        Deque<PutEntry> lane = busy.containsKey(key) ? busy.get(key) : ready.get(key);
        if (lane != null) {
            lane.addLast(entry);
        } else {
            mayGo(new ArrayDeque<>(List.of(entry)));
        }
    }

    private Object laneOf(PutEntry entry) {
        return isOrdered ? entry.partitionKey() : entry;
    }

    private void mayGo(Deque<PutEntry> lane) {
        ready.put(laneOf(lane.peekFirst()), lane);
        readyBytes += lane.peekFirst().bytes();
    }

    /** What goes in the next request: all that fits of what may go. It stays here until it was taken. */
    List<PutEntry> next() {
        List<PutEntry> batch = new ArrayList<>();
        long batchBytes = 0;
        Iterator<Deque<PutEntry>> lanes = ready.values().iterator();
        while (lanes.hasNext() && batch.size() < requestRecords) {
            Deque<PutEntry> lane = lanes.next();
            PutEntry first = lane.peekFirst();
            if (!batch.isEmpty() && batchBytes + first.bytes() > requestBytes) {
                break;
            }
            batch.add(first);
            batchBytes += first.bytes();
            lanes.remove();
            busy.put(laneOf(first), lane);
        }
        readyBytes -= batchBytes;
        return batch;
    }

    /** Kinesis has it. True if another one has waited for that. */
    boolean taken(PutEntry entry) {
        records--;
        bytes -= entry.bytes();
        Deque<PutEntry> lane = busy.remove(laneOf(entry));
        lane.removeFirst();
        if (lane.isEmpty()) {
            return false;
        }
        mayGo(lane);
        return true;
    }

    /** It was not taken, and may go again. */
    void again(PutEntry entry) {
        mayGo(busy.remove(laneOf(entry)));
    }

    boolean isEmpty() {
        return records == 0;
    }

    boolean hasReady() {
        return !ready.isEmpty();
    }

    /** Whether as much may go as one request holds. */
    boolean hasFullRequest() {
        return ready.size() >= requestRecords || readyBytes >= requestBytes;
    }

    int records() {
        return records;
    }

    long bytes() {
        return bytes;
    }

    /** All records, those of a lane in their order. */
    List<PutEntry> all() {
        List<PutEntry> all = new ArrayList<>(records);
        busy.values().forEach(all::addAll);
        ready.values().forEach(all::addAll);
        return all;
    }
}
