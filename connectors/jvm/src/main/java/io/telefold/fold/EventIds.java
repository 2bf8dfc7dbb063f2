package io.telefold.fold;

import io.telefold.Texts;
import java.io.IOException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * The event ids that are remembered of one device, exactly.
 *
 * <p>The newest few are written with the device's state. Once there are enough for a chunk, they become a piece of state
 * of their own that is not written again, and of which the heap knows only hashes: an id that none of them has is new,
 * and the rare event whose hash is known is looked up. The hashes are made with a key of this process, so that nobody can
 * name events whose hashes are equal. Chunks are read when they are first needed, and
 * forgotten as a whole.
 *
 * <p>That is for devices that stay in the heap. Of one that has to leave it, or has very many, {@link #scatter} makes an
 * entry of each id, which can be looked up one by one without anything in the heap.
 */
final class EventIds {

    /** The state of the device at hand. */
    static final class States {

        final MapState<Long, byte[]> chunks;
        final MapState<String, Long> entries;

        /** Chunks by their number, and ids with the event_time until which they are to be remembered. */
        States(MapState<Long, byte[]> chunks, MapState<String, Long> entries) {
            this.chunks = chunks;
            this.entries = entries;
        }
    }

    private static final int MAX_CHUNKS = 512;
    private static final long FORGOTTEN = Long.MIN_VALUE;

    /** As {@code schemas/limits.py} says; a power of two. */
    private static final int MAX_ID_BYTES = 512;

    private static final long[] HASH_KEYS =
            new SecureRandom().longs(MAX_ID_BYTES).toArray();

    /**
     * Multilinear hashing (Lemire and Kaser, Strongly universal string hashing is fast, 2014): no matter which two ids, the
     * keys make their hashes equal once in four thousand million.
     */
    private static int hash(String id) {
        long sum = 0;
        for (int i = 0; i < id.length(); i++) {
            sum += HASH_KEYS[i & MAX_ID_BYTES - 1] * (id.charAt(i) + 1L);
        }
        return (int) (sum >>> 32);
    }

    private final Set<String> recent = new LinkedHashSet<>();

    /** The largest event_time of the recent ids. */
    private long newestRecent = FORGOTTEN;

    /** The number of the oldest chunk ... */
    private long firstChunk;

    /** ... and from it on, the largest event_time in each. */
    private final List<Long> newest = new ArrayList<>();

    /** By number, chunks that are not in state yet. */
    private final Map<Long, byte[]> unsaved = new HashMap<>();

    /** The hashes of each chunk's ids, from the oldest chunk on; null before they were needed. */
    private List<int[]> hashes;

    private Hashes allHashes;

    /** Whether some ids have entries. */
    private boolean isScattered;

    boolean contains(String id, States states) throws Exception {
        return recent.contains(id)
                || !newest.isEmpty() && isInAChunk(id, states.chunks)
                || isScattered && states.entries.contains(id);
    }

    void add(String id, long eventTime, int idsAChunk) throws IOException {
        recent.add(id);
        newestRecent = Math.max(newestRecent, eventTime);
        if (recent.size() >= idsAChunk) {
            closeChunk();
        }
    }

    private void closeChunk() throws IOException {
        if (newest.isEmpty()) {
            hashes = new ArrayList<>();
            allHashes = new Hashes();
        }
        if (hashes != null) {
            hashes.add(hashesOf(recent));
            allHashes.addAll(hashes.get(hashes.size() - 1));
        }
        unsaved.put(firstChunk + newest.size(), bytesOf(recent));
        newest.add(newestRecent);
        recent.clear();
        newestRecent = FORGOTTEN;
    }

    /** Forgets the ids of events before {@code oldest}, unless they share a chunk with one of a later event. */
    void forgetBefore(long oldest, States states) throws Exception {
        boolean hasForgotten = false;
        for (int i = 0; i < newest.size(); i++) {
            if (newest.get(i) != FORGOTTEN && newest.get(i) < oldest) {
                if (unsaved.remove(firstChunk + i) == null) {
                    states.chunks.remove(firstChunk + i);
                }
                newest.set(i, FORGOTTEN);
                if (hashes != null) {
                    hashes.set(i, new int[0]);
                }
                hasForgotten = true;
            }
        }
        if (hasForgotten) {
            dropTheOldest();
        }
        if (newestRecent < oldest) {
            recent.clear();
            newestRecent = FORGOTTEN;
        }
        if (isScattered) {
            forgetEntriesBefore(oldest, states.entries);
        }
    }

    private void forgetEntriesBefore(long oldest, MapState<String, Long> entries) throws Exception {
        isScattered = false;
        for (Iterator<Map.Entry<String, Long>> each = entries.iterator(); each.hasNext(); ) {
            if (each.next().getValue() < oldest) {
                each.remove();
            } else {
                isScattered = true;
            }
        }
    }

    private void dropTheOldest() {
        int gone = 0;
        while (gone < newest.size() && newest.get(gone) == FORGOTTEN) {
            gone++;
        }
        newest.subList(0, gone).clear();
        firstChunk += gone;
        if (hashes != null) {
            hashes.subList(0, gone).clear();
            allHashes = new Hashes();
            hashes.forEach(allHashes::addAll);
        }
    }

    void clear(States states) {
        recent.clear();
        newestRecent = FORGOTTEN;
        firstChunk += newest.size();
        newest.clear();
        unsaved.clear();
        hashes = null;
        allHashes = null;
        isScattered = false;
        states.chunks.clear();
        states.entries.clear();
    }

    /** Puts what is not in state yet there; the rest goes with the device's state. */
    void save(States states) throws Exception {
        if (!unsaved.isEmpty()) {
            states.chunks.putAll(unsaved);
            unsaved.clear();
        }
        if (newest.size() > MAX_CHUNKS) {
            scatter(states);
        }
    }

    boolean hasChunks() {
        return !newest.isEmpty();
    }

    /** Makes an entry of each id in a chunk; all chunks must be in state. The device's state is to be written then. */
    void scatter(States states) throws Exception {
        Map<String, Long> entries = new HashMap<>();
        for (int i = 0; i < newest.size(); i++) {
            if (newest.get(i) != FORGOTTEN) {
                for (String id : idsOf(chunk(i, states.chunks))) {
                    entries.put(id, newest.get(i));
                }
                states.chunks.remove(firstChunk + i);
            }
        }
        states.entries.putAll(entries);
        isScattered |= !entries.isEmpty();
        firstChunk += newest.size();
        newest.clear();
        hashes = null;
        allHashes = null;
    }

    /** About how many bytes of the heap this takes. */
    int weight() {
        return recent.size() * 120 + newest.size() * 40 + (allHashes == null ? 0 : allHashes.weight());
    }

    void write(DataOutputSerializer out) throws IOException {
        writeIds(recent, out);
        out.writeLong(newestRecent);
        out.writeLong(firstChunk);
        out.writeInt(newest.size());
        for (long each : newest) {
            out.writeLong(each);
        }
        out.writeBoolean(isScattered);
    }

    void read(DataInputDeserializer in) throws IOException {
        readIds(in, recent);
        newestRecent = in.readLong();
        firstChunk = in.readLong();
        for (int left = in.readInt(); left > 0; left--) {
            newest.add(in.readLong());
        }
        isScattered = in.readBoolean();
    }

    private void readHashes(MapState<Long, byte[]> chunks) throws Exception {
        hashes = new ArrayList<>();
        allHashes = new Hashes();
        for (int i = 0; i < newest.size(); i++) {
            hashes.add(newest.get(i) == FORGOTTEN ? new int[0] : hashesOf(idsOf(chunk(i, chunks))));
            allHashes.addAll(hashes.get(i));
        }
    }

    private boolean isInAChunk(String id, MapState<Long, byte[]> chunks) throws Exception {
        if (hashes == null) {
            readHashes(chunks);
        }
        int hash = hash(id);
        if (!allHashes.contains(hash)) {
            return false;
        }
        for (int i = 0; i < newest.size(); i++) {
            if (holds(i, hash) && idsOf(chunk(i, chunks)).contains(id)) {
                return true;
            }
        }
        return false;
    }

    private boolean holds(int index, int hash) {
        for (int each : hashes.get(index)) {
            if (each == hash) {
                return true;
            }
        }
        return false;
    }

    private byte[] chunk(int index, MapState<Long, byte[]> chunks) throws Exception {
        byte[] held = unsaved.get(firstChunk + index);
        return held == null ? chunks.get(firstChunk + index) : held;
    }

    private static int[] hashesOf(Collection<String> ids) {
        int[] hashes = new int[ids.size()];
        int next = 0;
        for (String id : ids) {
            hashes[next++] = hash(id);
        }
        return hashes;
    }

    private static byte[] bytesOf(Set<String> ids) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(40 * ids.size() + 4);
        writeIds(ids, out);
        return out.getCopyOfBuffer();
    }

    /** Takes a chunk as it is in state. */
    static Set<String> idsOf(byte[] chunk) throws IOException {
        Set<String> ids = new LinkedHashSet<>();
        readIds(new DataInputDeserializer(chunk), ids);
        return ids;
    }

    private static void writeIds(Set<String> ids, DataOutputSerializer out) throws IOException {
        out.writeInt(ids.size());
        for (String id : ids) {
            Texts.write(id, out);
        }
    }

    private static void readIds(DataInputDeserializer in, Set<String> ids) throws IOException {
        for (int left = in.readInt(); left > 0; left--) {
            ids.add(Texts.read(in));
        }
    }

    /** A set of hashes, half empty at least. */
    private static final class Hashes {

        private int[] slots = new int[64];
        private int used;
        private boolean hasZero;

        boolean contains(int hash) {
            return hash == 0 ? hasZero : slots[slotOf(hash)] == hash;
        }

        void addAll(int[] added) {
            for (int hash : added) {
                add(hash);
            }
        }

        int weight() {
            // And those of each chunk, which are not in a table.
            return slots.length * 4 + used * 4;
        }

        private void add(int hash) {
            hasZero |= hash == 0;
            int slot = slotOf(hash);
            if (hash == 0 || slots[slot] == hash) {
                return;
            }
            slots[slot] = hash;
            if (++used * 2 > slots.length) {
                int[] full = slots;
                slots = new int[full.length * 2];
                for (int each : full) {
                    if (each != 0) {
                        slots[slotOf(each)] = each;
                    }
                }
            }
        }

        /** Where the hash is, or would be. */
        private int slotOf(int hash) {
            int slot = hash * 0x9E3779B9 >>> Integer.numberOfLeadingZeros(slots.length - 1);
            while (slots[slot] != 0 && slots[slot] != hash) {
                slot = slot + 1 & slots.length - 1;
            }
            return slot;
        }
    }
}
