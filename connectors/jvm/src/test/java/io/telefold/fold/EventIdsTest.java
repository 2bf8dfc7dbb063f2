package io.telefold.fold;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class EventIdsTest {

    private static final int A_CHUNK = 4;

    private final MapInHeap<Long, byte[]> chunks = new MapInHeap<>();
    private final MapInHeap<String, Long> entries = new MapInHeap<>();
    private final EventIds.States states = new EventIds.States(chunks, entries);
    private EventIds ids = new EventIds();

    private void add(String id, long eventTime) throws Exception {
        ids.add(id, eventTime, A_CHUNK);
    }

    /** As it is read again from what a flush wrote. */
    private void restore() throws Exception {
        ids.save(states);
        DataOutputSerializer out = new DataOutputSerializer(16);
        ids.write(out);
        ids = new EventIds();
        DataInputDeserializer in = new DataInputDeserializer(out.getCopyOfBuffer());
        ids.read(in);
        assertThat(in.available()).isZero();
    }

    private boolean contains(String id) throws Exception {
        return ids.contains(id, states);
    }

    @Test
    void remembersRecentIdsAndThoseInChunks() throws Exception {
        for (int i = 0; i < 10; i++) {
            add("e" + i, i);
        }
        for (int i = 0; i < 10; i++) {
            assertThat(contains("e" + i)).isTrue();
        }
        assertThat(contains("e10")).isFalse();
    }

    @Test
    void aChunkIsWrittenOnceAndReadWhenItIsNeeded() throws Exception {
        for (int i = 0; i < 8; i++) {
            add("e" + i, i);
        }
        ids.save(states);
        add("e8", 8);
        restore();
        assertThat(chunks.writes).isEqualTo(2);
        assertThat(chunks.reads).isZero();
        assertThat(contains("unknown")).isFalse();
        assertThat(contains("e8")).isTrue();
        assertThat(chunks.reads).isEqualTo(2);
        assertThat(contains("also unknown")).isFalse();
        assertThat(chunks.reads).as("hashes say that it is new").isEqualTo(2);
        assertThat(contains("e3")).isTrue();
        assertThat(chunks.reads).isEqualTo(3);
    }

    /** "Aa" and "BB" have the same hash, and "\0" has the hash 0. */
    @Test
    void hashesAloneDecideNothing() throws Exception {
        for (String id : new String[] {"Aa", "\0", "c", "d"}) {
            add(id, 1);
        }
        assertThat("Aa".hashCode()).isEqualTo("BB".hashCode());
        assertThat(contains("BB")).isFalse();
        assertThat(contains("Aa")).isTrue();
        assertThat(contains("\0")).isTrue();
        assertThat(contains("")).isFalse();
    }

    /** Two letters that hash alike make as many ids that do as one likes. */
    @Test
    void idsWithEqualHashCodesCostNoLookups() throws Exception {
        for (int i = 0; i < 1_024; i++) {
            add(collidingWithAll(i), 1);
        }
        restore();
        assertThat(contains("unknown")).isFalse();
        int readToKnowTheHashes = chunks.reads;
        for (int i = 1_024; i < 2_048; i++) {
            assertThat(collidingWithAll(i).hashCode())
                    .isEqualTo(collidingWithAll(0).hashCode());
            assertThat(contains(collidingWithAll(i))).isFalse();
        }
        assertThat(chunks.reads - readToKnowTheHashes).isLessThan(3);
    }

    private static String collidingWithAll(int number) {
        StringBuilder id = new StringBuilder();
        for (int bit = 0; bit < 11; bit++) {
            id.append((number >> bit & 1) == 0 ? "Aa" : "BB");
        }
        return id.toString();
    }

    @Test
    void forgetsChunksThatAreOlderAsAWhole() throws Exception {
        for (int i = 0; i < 10; i++) {
            add("e" + i, i);
        }
        ids.save(states);
        ids.forgetBefore(3, states);
        assertThat(contains("e0")).as("shares a chunk with e3").isTrue();
        ids.forgetBefore(4, states);
        assertThat(contains("e0")).isFalse();
        assertThat(contains("e3")).isFalse();
        assertThat(contains("e4")).isTrue();
        assertThat(chunks.held).hasSize(1);
        restore();
        assertThat(contains("e3")).isFalse();
        assertThat(contains("e4")).isTrue();
        ids.forgetBefore(100, states);
        assertThat(contains("e4")).isFalse();
        assertThat(contains("e9")).isFalse();
        assertThat(chunks.held).isEmpty();
    }

    @Test
    void anOlderChunkBehindANewerOneIsForgotten() throws Exception {
        for (int i = 0; i < 4; i++) {
            add("new" + i, 100);
        }
        for (int i = 0; i < 4; i++) {
            add("old" + i, 1);
        }
        ids.save(states);
        ids.forgetBefore(50, states);
        restore();
        assertThat(contains("old0")).isFalse();
        assertThat(contains("new0")).isTrue();
        for (int i = 0; i < 4; i++) {
            add("newest" + i, 200);
        }
        restore();
        assertThat(contains("newest0")).isTrue();
        assertThat(contains("new0")).isTrue();
    }

    @Test
    void clearsAll() throws Exception {
        for (int i = 0; i < 6; i++) {
            add("e" + i, i);
        }
        ids.save(states);
        ids.clear(states);
        assertThat(chunks.held).isEmpty();
        for (int i = 0; i < 6; i++) {
            assertThat(contains("e" + i)).isFalse();
            add("f" + i, i);
        }
        restore();
        assertThat(contains("f0")).isTrue();
        assertThat(contains("f5")).isTrue();
    }

    @Test
    void scattersWhatIsToLeaveTheHeap() throws Exception {
        for (int i = 0; i < 10; i++) {
            add("e" + i, i);
        }
        ids.save(states);
        ids.scatter(states);
        restore();
        assertThat(chunks.held).isEmpty();
        assertThat(entries.held).hasSize(8);
        for (int i = 0; i < 10; i++) {
            assertThat(contains("e" + i)).isTrue();
        }
        assertThat(contains("e10")).isFalse();
        for (int i = 10; i < 16; i++) {
            add("e" + i, i);
        }
        restore();
        assertThat(chunks.held).hasSize(2);
        assertThat(contains("e0")).isTrue();
        assertThat(contains("e15")).isTrue();
        ids.forgetBefore(4, states);
        assertThat(contains("e3")).isFalse();
        assertThat(contains("e4")).isTrue();
        ids.forgetBefore(8, states);
        assertThat(entries.held).isEmpty();
        assertThat(contains("e7")).isFalse();
        assertThat(contains("e8")).isTrue();
    }

    /** As in a rebuild, which forgets nothing: what is written with the state of the device stays small. */
    @Test
    void veryManyAreScattered() throws Exception {
        for (int i = 0; i < 4_000; i++) {
            add("e" + i, i);
            if (i % 100 == 0) {
                ids.save(states);
            }
        }
        restore();
        assertThat(chunks.held).hasSizeLessThanOrEqualTo(513);
        assertThat(contains("e0")).isTrue();
        assertThat(contains("e3999")).isTrue();
        assertThat(contains("e4000")).isFalse();
        ids.clear(states);
        assertThat(entries.held).isEmpty();
        assertThat(contains("e0")).isFalse();
    }

    @Test
    void agreesWithASetOverLongLives() throws Exception {
        Random random = new Random(3);
        Map<String, Long> kept = new HashMap<>();
        for (int i = 0; i < 20_000; i++) {
            String id = "e" + (random.nextInt(10) == 0 ? random.nextInt(i + 1) : i);
            long time = i + random.nextInt(50);
            assertThat(kept.containsKey(id) || !contains(id))
                    .as("%s is known too early", id)
                    .isTrue();
            if (kept.containsKey(id) && kept.get(id) >= i - 1_000) {
                assertThat(contains(id)).as("%s is within the horizon", id).isTrue();
            }
            if (!contains(id)) {
                add(id, time);
                kept.put(id, time);
            }
            if (i % 250 == 0) {
                ids.forgetBefore(i - 1_000, states);
            }
            if (random.nextInt(40) == 0) {
                restore();
            }
            if (random.nextInt(400) == 0) {
                ids.save(states);
                ids.scatter(states);
            }
        }
        assertThat(chunks.held.size() * A_CHUNK + entries.held.size()).isLessThan(2_000);
        assertThat(ids.weight()).isPositive();
    }

    /** The part of a MapState that is needed, and how often it was asked. */
    private static final class MapInHeap<K, V> implements MapState<K, V> {

        final Map<K, V> held = new HashMap<>();
        int reads;
        int writes;

        @Override
        public V get(K key) {
            reads++;
            return held.get(key);
        }

        @Override
        public void put(K key, V value) {
            writes++;
            held.put(key, value);
        }

        @Override
        public void putAll(Map<K, V> more) {
            more.forEach(this::put);
        }

        @Override
        public void remove(K key) {
            held.remove(key);
        }

        @Override
        public boolean contains(K key) {
            return held.containsKey(key);
        }

        @Override
        public Iterable<Map.Entry<K, V>> entries() {
            return held.entrySet();
        }

        @Override
        public Set<K> keys() {
            return new HashSet<>(held.keySet());
        }

        @Override
        public Iterable<V> values() {
            return held.values();
        }

        @Override
        public Iterator<Map.Entry<K, V>> iterator() {
            return held.entrySet().iterator();
        }

        @Override
        public boolean isEmpty() {
            return held.isEmpty();
        }

        @Override
        public void clear() {
            held.clear();
        }
    }
}
