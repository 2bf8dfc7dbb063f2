package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.junit.jupiter.api.Test;

/**
 * Random schedules of anything that happens to a writer, from a seed each: late answers, requests and records that are
 * refused, answers that are lost, checkpoints, and crashes from which it is restored. After that each element has to be in
 * the stream, and what has one key in its order: an attempt of the task may write a record again behind itself alone.
 *
 * <p>The system property {@code schedules} says how many; {@code seed} has one schedule driven alone.
 */
class SinkSchedulesTest {

    private static final int KEYS = 6;

    @Test
    void nothingIsLostAndEachKeyIsInItsOrder() {
        Integer alone = Integer.getInteger("seed");
        int from = alone == null ? 0 : alone;
        int to = alone == null ? Integer.getInteger("schedules", 300) : alone + 1;
        for (int seed = from; seed < to; seed++) {
            try {
                new Schedule(seed).run();
            } catch (Exception | AssertionError e) {
                throw new AssertionError("The schedule with seed " + seed + " fails", e);
            }
        }
    }

    private static final class Schedule {

        private final Random random;
        private final ModelStream stream;
        private final boolean isOrdered;
        private final KinesisSinkBuilder<String> builder;
        private final List<String> input = new ArrayList<>();
        private final int[] nextOfKey = new int[KEYS];
        private ModelTask task;
        private StatefulSinkWriter<String, SinkState> writer;
        private List<SinkState> state = List.of();
        private int attempt;
        private int covered;
        private int read;
        private double trouble;

        Schedule(int seed) {
            random = new Random(seed * 7_919L + 1);
            stream = new ModelStream(random);
            stream.isDelayed = true;
            stream.rule = this::rule;
            isOrdered = random.nextInt(4) > 0;
            builder = KinesisSink.<String>builder("s")
                    .partitionKey(KinesisSinkWriterTest::keyOf)
                    .data(text -> text.getBytes(StandardCharsets.UTF_8))
                    .maxInFlightRequests(1 + random.nextInt(4))
                    .maxBufferedRecords(1 + random.nextInt(40))
                    .maxTimeInBuffer(Duration.ofMillis(1 + random.nextInt(1_000)));
            if (!isOrdered) {
                builder.withoutOrder();
                stream.withoutOrder();
            }
            trouble = random.nextDouble() * 0.6;
            start();
        }

        private void start() {
            task = new ModelTask();
            task.whileWaiting = stream::answerOne;
            int now = attempt++;
            writer = builder.clients(() -> stream.client(now)).build().writer(task, state, random::nextDouble);
            read = covered;
        }

        /** A whole request fails where its first record does. */
        private String rule(ModelStream.Put put, int index) {
            double kind = random.nextDouble();
            if (kind > trouble) {
                return null;
            }
            if (index == 0 && random.nextInt(3) == 0) {
                throw random.nextBoolean()
                        ? ModelStream.refusal(400, ModelStream.THROTTLED, "Rate exceeded")
                        : ModelStream.refusal(500, ModelStream.INTERNAL, "internal");
            }
            if (random.nextInt(10) == 0) {
                stream.isAnswerLost = true;
                return null;
            }
            return random.nextBoolean() ? ModelStream.THROTTLED : ModelStream.INTERNAL;
        }

        void run() throws Exception {
            for (int step = 0; step < 300; step++) {
                step();
            }
            trouble = 0;
            while (read < input.size()) {
                write();
            }
            if (random.nextBoolean()) {
                writer.flush(true);
            } else {
                letTimePass();
            }
            assertThat(writer.snapshotState(1)).isEmpty();
            assertThat(new HashSet<>(stream.texts())).isEqualTo(new HashSet<>(input));
            if (isOrdered) {
                assertOrder();
            }
        }

        /** Nothing may need another element, or the end, to be sent. */
        private void letTimePass() {
            do {
                task.passTime(20_000);
            } while (stream.answerOne());
        }

        private void step() throws Exception {
            int kind = random.nextInt(100);
            if (kind < 50) {
                write();
            } else if (kind < 75) {
                stream.answerOne();
                task.settle();
            } else if (kind < 94) {
                task.passTime(random.nextInt(1_000));
            } else if (kind < 98) {
                checkpoint();
            } else {
                stream.crash();
                start();
            }
        }

        private void write() throws Exception {
            if (read == input.size()) {
                int key = random.nextInt(KEYS);
                input.add("k" + key + "-" + nextOfKey[key]++);
            }
            writer.write(input.get(read++), null);
        }

        private void checkpoint() throws Exception {
            writer.flush(false);
            assertThat(stream.underWay()).isZero();
            SinkStateSerializer serializer = new SinkStateSerializer();
            List<SinkState> taken = new ArrayList<>();
            for (SinkState one : writer.snapshotState(1)) {
                taken.add(serializer.deserialize(1, serializer.serialize(one)));
            }
            state = taken;
            covered = read;
        }

        /** Of each attempt and key: a record is the one before it, written again, or the one behind that. */
        private void assertOrder() {
            Map<String, Integer> last = new HashMap<>();
            for (ModelStream.Put put : stream.taken) {
                int number = Integer.parseInt(put.text().substring(put.text().indexOf('-') + 1));
                Integer before = last.put(put.attempt() + put.key(), number);
                if (before != null && number != before && number != before + 1) {
                    throw new AssertionError(put + " is behind " + before);
                }
            }
        }
    }
}
