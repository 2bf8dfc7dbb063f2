package io.telefold;

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

    private final Chunks chunks = new Chunks();
    private EventIds ids = new EventIds();

    private void add(String id, long eventTime) throws Exception {
        ids.add(id, eventTime, A_CHUNK);
    }

    /** As it is read again from what a flush wrote. */
    private void restore() throws Exception {
        ids.save(chunks);
        DataOutputSerializer out = new DataOutputSerializer(16);
        ids.write(out);
        ids = new EventIds();
        DataInputDeserializer in = new DataInputDeserializer(out.getCopyOfBuffer());
        ids.read(in);
        assertThat(in.available()).isZero();
    }

    private boolean contains(String id) throws Exception {
        return ids.contains(id, chunks);
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
        ids.save(chunks);
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

    @Test
    void forgetsChunksThatAreOlderAsAWhole() throws Exception {
        for (int i = 0; i < 10; i++) {
            add("e" + i, i);
        }
        ids.save(chunks);
        ids.forgetBefore(3, chunks);
        assertThat(contains("e0")).as("shares a chunk with e3").isTrue();
        ids.forgetBefore(4, chunks);
        assertThat(contains("e0")).isFalse();
        assertThat(contains("e3")).isFalse();
        assertThat(contains("e4")).isTrue();
        assertThat(chunks.held).hasSize(1);
        restore();
        assertThat(contains("e3")).isFalse();
        assertThat(contains("e4")).isTrue();
        ids.forgetBefore(100, chunks);
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
        ids.save(chunks);
        ids.forgetBefore(50, chunks);
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
        ids.save(chunks);
        ids.clear(chunks);
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
    void agreesWithASetOverLongLives() throws Exception {
        Random random = new Random(3);
        Map<String, Long> kept = new HashMap<>();
        for (int i = 0; i < 20_000; i++) {
            String id = "e" + (random.nextInt(10) == 0 ? random.nextInt(i + 1) : i);
            long time = i + random.nextInt(50);
            assertThat(kept.containsKey(id) || !contains(id)).as("%s is known too early", id).isTrue();
            if (kept.containsKey(id) && kept.get(id) >= i - 1_000) {
                assertThat(contains(id)).as("%s is within the horizon", id).isTrue();
            }
            if (!contains(id)) {
                add(id, time);
                kept.put(id, time);
            }
            if (i % 250 == 0) {
                ids.forgetBefore(i - 1_000, chunks);
            }
            if (random.nextInt(40) == 0) {
                restore();
            }
        }
        assertThat(chunks.held.size()).isLessThan(2_000 / A_CHUNK);
        assertThat(ids.weight()).isPositive();
    }

    /** The part of a MapState that is needed, and how often it was asked. */
    private static final class Chunks implements MapState<Long, byte[]> {

        final Map<Long, byte[]> held = new HashMap<>();
        int reads;
        int writes;

        @Override
        public byte[] get(Long number) {
            reads++;
            return held.get(number);
        }

        @Override
        public void put(Long number, byte[] chunk) {
            writes++;
            held.put(number, chunk);
        }

        @Override
        public void putAll(Map<Long, byte[]> more) {
            more.forEach(this::put);
        }

        @Override
        public void remove(Long number) {
            held.remove(number);
        }

        @Override
        public boolean contains(Long number) {
            return held.containsKey(number);
        }

        @Override
        public Iterable<Map.Entry<Long, byte[]>> entries() {
            return held.entrySet();
        }

        @Override
        public Set<Long> keys() {
            return new HashSet<>(held.keySet());
        }

        @Override
        public Iterable<byte[]> values() {
            return held.values();
        }

        @Override
        public Iterator<Map.Entry<Long, byte[]>> iterator() {
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
