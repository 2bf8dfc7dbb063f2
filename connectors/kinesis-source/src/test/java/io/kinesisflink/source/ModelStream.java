package io.kinesisflink.source;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** A stream in memory, for tests of what wraps the source: the sources that it makes read it, in the time of the model. */
public final class ModelStream {

    public final ModelKinesis kinesis;

    private final List<ModelLoop> loops = new ArrayList<>();
    private final ModelMachine machine;

    /** Begins with so many shards. */
    public ModelStream(Random random, int shards) {
        kinesis = new ModelKinesis(random, shards);
        machine = new ModelMachine(random);
    }

    /** What the builder says, but reading this stream. */
    public <T> KinesisSource<T> source(KinesisSourceBuilder<T> builder) {
        return builder.clients(() -> kinesis).build().on(machine);
    }

    public void passTime(long ms) {
        kinesis.nowMs += ms;
        loops.removeIf(ModelLoop::isClosed);
        List.copyOf(loops).forEach(ModelLoop::tick);
    }

    @SuppressWarnings("serial") // it stays where it was made
    private final class ModelMachine implements Machine {

        private static final long serialVersionUID = 1L;

        private final Random random;

        private ModelMachine(Random random) {
            this.random = random;
        }

        @Override
        public long nowMs() {
            return kinesis.nowMs;
        }

        @Override
        public double random() {
            return random.nextDouble();
        }

        @Override
        public QueuedLoop loop() {
            ModelLoop loop = new ModelLoop(kinesis, random);
            loops.add(loop);
            return loop;
        }
    }
}
