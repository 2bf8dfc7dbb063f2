package io.telefold.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** On RocksDB itself: without the gate, what is refused here ends this JVM. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class StateGateTest {

    private static final ListStateDescriptor<String> LIST = new ListStateDescriptor<>("list", Types.STRING);
    private static final MapStateDescriptor<String, String> MAP =
            new MapStateDescriptor<>("map", Types.STRING, Types.STRING);

    private final StateGate gate = new StateGate();
    private KeyedOneInputStreamOperatorTestHarness<String, String, String> task;
    private KeyedStateBackend<String> backend;

    @BeforeEach
    void startTask() throws Exception {
        Idle operator = new Idle();
        task = new KeyedOneInputStreamOperatorTestHarness<>(operator, value -> value, Types.STRING);
        task.setStateBackend(new EmbeddedRocksDBStateBackend());
        task.open();
        backend = behindGate(operator.getKeyedStateBackend());
        backend.setCurrentKey("device");
    }

    @AfterEach
    void endTask() throws Exception {
        task.close();
    }

    @Test
    void stateIsReachedThroughAnOpenGate() throws Exception {
        ListState<String> list = state(LIST);
        list.add("a");
        list.addAll(Arrays.asList("b", "c"));
        assertThat(list.get()).containsExactly("a", "b", "c");
        MapState<String, String> map = state(MAP);
        map.put("k", "v");
        assertThat(map.entries()).extracting(Map.Entry::getValue).containsExactly("v");
        assertThat(backend.getCurrentKey()).isEqualTo("device");
    }

    @Test
    void afterTheTaskNothingIsReachedAnyMore() throws Exception {
        ListState<String> list = state(LIST);
        MapState<String, String> map = state(MAP);
        map.put("k", "v");
        Iterator<Map.Entry<String, String>> entries = map.iterator();
        gate.shut();
        task.close();
        assertThatThrownBy(() -> state(LIST)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> list.add("late")).hasMessageContaining("The task has ended");
        assertThatThrownBy(entries::hasNext).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void theGateShutsBehindWhoeverIsInside() throws Exception {
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        Iterable<?> slow = gate.guard(Iterable.class, (Iterable<String>) () -> {
            inside.countDown();
            await(leave);
            return Collections.emptyIterator();
        });
        CompletableFuture<?> reader = CompletableFuture.runAsync(slow::iterator);
        await(inside);
        CompletableFuture<?> shutting = CompletableFuture.runAsync(gate::shut);
        Thread.sleep(200);
        assertThat(shutting).isNotDone();
        leave.countDown();
        reader.get();
        shutting.get();
        assertThatThrownBy(slow::iterator).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void whatStateThrowsIsThrown() {
        assertThatThrownBy(() -> state(LIST).add(null)).isInstanceOf(NullPointerException.class);
    }

    @SuppressWarnings("unchecked")
    private KeyedStateBackend<String> behindGate(KeyedStateBackend<String> reached) {
        return gate.guard(KeyedStateBackend.class, reached);
    }

    private <S extends State> S state(StateDescriptor<S, ?> descriptor) throws Exception {
        return backend.getPartitionedState(VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }

    private static final class Idle extends AbstractStreamOperator<String>
            implements OneInputStreamOperator<String, String> {

        private static final long serialVersionUID = 1L;

        @Override
        public void processElement(StreamRecord<String> element) {}
    }
}
