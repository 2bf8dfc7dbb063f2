package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * Drives a job through anything that can happen, in any order: records, aggregates, splits, merges, throttling, failures and
 * late answers, expired iterators, messages on their way, checkpoints that complete, fail and are heard of late, crashes of
 * one subtask and of all, other parallelisms. After that each record has to be in the output once, what has one key in its
 * order, and the time of the log has to be that of the clock.
 *
 * <p>The system property {@code schedules} says how many; {@code seed} has one schedule driven alone.
 */
class RandomSchedulesTest {

    private static final int KEYS = 8;
    private static final int MOST_SHARDS = 24;

    @Test
    void everyRecordOnceAndEachKeyInItsOrder() {
        Integer alone = Integer.getInteger("seed");
        int from = alone == null ? 0 : alone;
        int to = alone == null ? Integer.getInteger("schedules", 300) : alone + 1;
        for (int seed = from; seed < to; seed++) {
            try {
                new Schedule(seed).run();
            } catch (RuntimeException | AssertionError e) {
                throw new AssertionError("The schedule with seed " + seed + " fails", e);
            }
        }
    }

    private static final class Schedule {

        private final Random random;
        private final ModelKinesis kinesis;
        private final Settings settings;
        private final ModelJob job;
        private final int[] nextOfKey = new int[KEYS];
        private final Set<String> readAtFirst = new HashSet<>();
        private final Map<String, ModelKinesis.Put> given = new HashMap<>();

        Schedule(int seed) {
            random = new Random(seed * 7_919L + 1);
            kinesis = new ModelKinesis(random, 1 + random.nextInt(3));
            kinesis.pageSize = random.nextBoolean() ? 100 : 1 + random.nextInt(4);
            kinesis.endsWithLastRecord = random.nextBoolean();
            for (int before = random.nextInt(6); before > 0; before--) {
                produce();
                if (random.nextInt(4) == 0) {
                    reshard();
                }
                kinesis.nowMs += random.nextInt(3_000);
            }
            settings = settings();
            kinesis.isDelayed = true;
            kinesis.throttling = chosen(0, 0.05, 0.3);
            kinesis.failing = chosen(0, 0, 0.1);
            job = new ModelJob(kinesis, settings, 1 + random.nextInt(3), random);
        }

        private <E> E chosen(List<E> values) {
            return values.get(random.nextInt(values.size()));
        }

        private double chosen(double... values) {
            return values[random.nextInt(values.length)];
        }

        private Settings settings() {
            KinesisSourceBuilder<KinesisRecord> builder =
                    KinesisSource.builder("s", new AsItIs()).timeOfLog().maxRecords(1 + random.nextInt(8));
            switch (random.nextInt(5)) {
                case 0 -> builder.fromLatest();
                case 1 -> builder.fromTimestamp(Instant.ofEpochMilli(kinesis.nowMs - random.nextInt(9_000)));
                default -> builder.fromTrimHorizon();
            }
            if (random.nextInt(3) == 0) {
                builder.fanOut("arn:aws:kinesis:eu-west-1:1:stream/s/consumer/c:1");
            }
            if (random.nextInt(4) == 0 && !kinesis.puts.isEmpty()) {
                goOnBehindOthers(builder);
            }
            return builder.settings();
        }

        /** Somebody has read some shards up to a record, in order: nothing of what came of these. */
        private void goOnBehindOthers(KinesisSourceBuilder<KinesisRecord> builder) {
            builder.fromTrimHorizon();
            Map<String, ShardPosition> positions = new HashMap<>();
            for (ModelKinesis.Put put : kinesis.puts) {
                if (kinesis.isFirst(put.shard()) && random.nextBoolean()) {
                    positions.put(put.shard(), ShardPosition.after(put.number(), put.index()));
                    given.put(put.shard(), put);
                }
            }
            builder.startingPositions(positions);
        }

        void run() {
            for (int steps = 100 + random.nextInt(600); steps > 0; steps--) {
                step();
            }
            goOnWithoutFaults();
            check();
        }

        private void step() {
            ModelJob.Subtask subtask = job.subtasks[random.nextInt(job.parallelism)];
            int what = random.nextInt(1_000);
            if (what < 250) {
                subtask.poll(1 + random.nextInt(20));
            } else if (what < 450) {
                if (!kinesis.answerOne()) {
                    kinesis.sendOne(true);
                }
            } else if (what < 456) {
                String shard = chosen(kinesis.shards());
                boolean isPaused = random.nextInt(3) == 0;
                subtask.pause(shard, isPaused);
            } else if (what < 550) {
                job.passTime(random.nextInt(30) == 0 ? 400_000 : random.nextInt(600));
            } else if (what < 640) {
                produce();
            } else if (what < 660) {
                reshard();
            } else if (what < 720) {
                list();
            } else if (what < 800) {
                subtask.deliver();
            } else if (what < 840) {
                subtask.hear();
            } else if (what < 880) {
                subtask.notice();
            } else if (what < 910) {
                subtask.start();
            } else if (what < 925) {
                job.beginCheckpoint();
            } else if (what < 960) {
                job.snapshot(subtask);
            } else if (what < 978) {
                job.complete();
            } else if (what < 981) {
                job.abort();
            } else if (what < 990) {
                job.checkpoint();
            } else if (what < 994) {
                job.crash(subtask);
            } else if (what < 996) {
                job.crashSubtasks();
            } else if (what < 998) {
                job.crash(job.parallelism);
            } else {
                job.crash(1 + random.nextInt(4));
            }
        }

        private void produce() {
            List<String> keys = new ArrayList<>();
            List<String> ids = new ArrayList<>();
            for (int records = 1 + random.nextInt(4); records > 0; records--) {
                int key = random.nextInt(KEYS);
                keys.add("key" + key);
                ids.add("key" + key + "-" + nextOfKey[key]++);
            }
            if (random.nextInt(3) == 0) {
                kinesis.putAggregate(keys, ids);
            } else {
                for (int i = 0; i < keys.size(); i++) {
                    kinesis.put(keys.get(i), ids.get(i));
                }
            }
        }

        private void reshard() {
            if (kinesis.shardsEver() < MOST_SHARDS) {
                String shard = chosen(kinesis.openShards());
                if (random.nextBoolean()) {
                    kinesis.split(shard);
                } else {
                    kinesis.merge(shard);
                }
            }
        }

        /** The first listing of a job that begins at a time is of shards that are read at once, in no order. */
        private void list() {
            boolean isFirst = !job.enumerator.snapshotState(0).wasListed();
            job.list();
            if (isFirst && job.beginning != null && job.beginning.isTime()) {
                readAtFirst.addAll(kinesis.shards());
            }
        }

        private void goOnWithoutFaults() {
            kinesis.throttling = 0;
            kinesis.failing = 0;
            kinesis.isDelayed = false;
            job.abort();
            for (ModelJob.Subtask subtask : job.subtasks) {
                kinesis.shards().forEach(shard -> subtask.pause(shard, false));
            }
            int left = -1;
            for (int round = 0; left != 0; round++) {
                assertThat(round)
                        .as("rounds until all is read; missing: %s", missing())
                        .isLessThan(400);
                goOn();
                left = job.beginning == null ? -1 : missing().size();
            }
            for (int round = 0; round < 40; round++) {
                goOn();
            }
        }

        private void goOn() {
            settle();
            list();
            settle();
            job.checkpoint();
            settle();
            job.passTime(500);
            settle();
            job.passTime(1_000);
            settle();
        }

        /** A subscription sends an event to each request; one without records comes after some time. */
        private void settle() {
            job.settle();
            for (int events = 0; events < 20 && kinesis.sendOne(false); events++) {
                job.settle();
            }
        }

        private Set<String> missing() {
            Set<String> missing = new TreeSet<>();
            expected().forEach(put -> missing.add(put.id()));
            job.covered.forEach(emitted -> missing.remove(emitted.id()));
            return missing;
        }

        private List<ModelKinesis.Put> expected() {
            long from = job.beginning == null || !job.beginning.isTime() ? Long.MIN_VALUE : job.beginning.timeMs();
            return kinesis.puts.stream()
                    .filter(put -> put.arrivalMs() >= from && !isBehindOthers(put))
                    .toList();
        }

        private boolean isBehindOthers(ModelKinesis.Put put) {
            ModelKinesis.Put last = given.get(put.shard());
            return last != null
                    && ShardPosition.after(last.number(), last.index()).covers(put.number(), put.index());
        }

        private void check() {
            assertThat(job.covered.stream().map(ModelJob.Emitted::id).sorted().toList())
                    .isEqualTo(expected().stream()
                            .map(ModelKinesis.Put::id)
                            .sorted()
                            .toList());
            checkOrder();
            checkPositions();
            for (ModelJob.Subtask subtask : job.subtasks) {
                assertThat(subtask.output.watermark).isGreaterThan(kinesis.nowMs - 4_000);
                assertThat(subtask.output.wasIdle).isFalse();
                assertThat(subtask.readerContext.gauge("KinesisConsumer.behindMs"))
                        .isZero();
                assertThat(subtask.readerContext.gauge("KinesisConsumer.shardsWaiting"))
                        .isZero();
            }
        }

        /** A record comes behind the one before it of the same subtask, or behind a checkpoint that covers that. */
        private void checkOrder() {
            Map<String, ModelJob.Emitted> emitted = new HashMap<>();
            Map<String, Integer> places = new HashMap<>();
            for (ModelJob.Emitted one : job.covered) {
                places.put(one.id(), emitted.size());
                emitted.put(one.id(), one);
            }
            Map<String, ModelJob.Emitted> lastOfKey = new HashMap<>();
            for (ModelKinesis.Put put : expected()) {
                ModelJob.Emitted next = emitted.get(put.id());
                ModelJob.Emitted before = lastOfKey.put(put.key(), next);
                if (before == null || isUnordered(before, next)) {
                    continue;
                }
                boolean isInOrder = before.reader() == next.reader()
                        ? places.get(before.id()) < places.get(next.id())
                        : before.coveredBy() <= next.barrier();
                assertThat(isInOrder).as("%s before %s", before, next).isTrue();
            }
        }

        private boolean isUnordered(ModelJob.Emitted before, ModelJob.Emitted next) {
            String one = before.record().shardId();
            String other = next.record().shardId();
            return !one.equals(other) && readAtFirst.contains(one) && readAtFirst.contains(other);
        }

        /** Each record says which one was read before it in its shard. */
        private void checkPositions() {
            Map<String, List<KinesisRecord>> byShard = job.covered.stream()
                    .map(ModelJob.Emitted::record)
                    .collect(Collectors.groupingBy(KinesisRecord::shardId));
            byShard.forEach((shard, records) -> {
                List<KinesisRecord> ordered = new ArrayList<>(records);
                ordered.sort(Comparator.comparing(KinesisRecord::sequenceNumber)
                        .thenComparing(record -> record.subSequenceNumber() == null ? 0 : record.subSequenceNumber()));
                ModelKinesis.Put last = given.get(shard);
                ShardPosition before = last == null ? job.beginning : ShardPosition.after(last.number(), last.index());
                for (KinesisRecord record : ordered) {
                    assertThat(record.previous()).isEqualTo(before);
                    before = record.position();
                }
            });
        }
    }
}
