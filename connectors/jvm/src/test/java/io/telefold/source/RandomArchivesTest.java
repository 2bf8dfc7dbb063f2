package io.telefold.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.kinesisflink.source.KinesisSource;
import io.kinesisflink.source.ModelKinesis;
import io.kinesisflink.source.ModelStream;
import io.telefold.archive.Archive;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.SequenceOrder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.avro.generic.GenericRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Drives a job that reads an archive and then the stream through anything that can happen, in any order: files of any
 * length, shards that were split and merged before and are again, positions before the end of the archive, messages on their
 * way, checkpoints that complete, fail and are heard of late, crashes of one subtask and of all, other parallelisms, an
 * archive that has grown when a job is started again that has read the stream or followed the archive. After that each record
 * has to be in the output once, and what has one key in its order.
 *
 * <p>The system property {@code schedules} says how many; {@code seed} has one schedule driven alone.
 */
class RandomArchivesTest {

    private static final int KEYS = 6;
    private static final int MOST_SHARDS = 16;

    @TempDir
    Path folder;

    @Test
    void everyRecordOnceAndEachKeyInItsOrder() throws IOException {
        Integer alone = Integer.getInteger("seed");
        int from = alone == null ? 0 : alone;
        int to = alone == null ? Integer.getInteger("schedules", 200) : alone + 1;
        for (int seed = from; seed < to; seed++) {
            try (Schedule schedule = new Schedule(seed, Files.createDirectory(folder.resolve("seed-" + seed)))) {
                schedule.run();
            } catch (RuntimeException | AssertionError e) {
                throw new AssertionError("The schedule with seed " + seed + " fails", e);
            }
            delete(folder.resolve("seed-" + seed));
        }
    }

    private static void delete(Path tree) throws IOException {
        try (Stream<Path> files = Files.walk(tree)) {
            files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(file -> assertThat(file.delete())
                    .isTrue());
        }
    }

    private static final class Schedule implements AutoCloseable {

        private final Random random;
        private final ModelStream stream;
        private final ModelKinesis kinesis;
        private final Archive archive;
        private final SourceJob job;
        private final int[] nextOfKey = new int[KEYS];

        /** How many records of each shard the archive has, and how many of these are to be read there. */
        private final Map<String, Integer> archived = new HashMap<>();

        private final Map<String, Integer> wanted = new TreeMap<>();
        private boolean isFollowing;
        private int filesWritten;

        Schedule(int seed, Path folder) throws IOException {
            random = new Random(seed * 7_919L + 1);
            stream = new ModelStream(random, 1 + random.nextInt(3));
            kinesis = stream.kinesis;
            kinesis.endsWithLastRecord = random.nextBoolean();
            archive = new Archive(folder);
            for (int before = random.nextInt(20); before > 0; before--) {
                produce();
                if (random.nextInt(5) == 0) {
                    reshard();
                }
                kinesis.nowMs += random.nextInt(20) == 0 ? 3_000_000 : random.nextInt(3_000);
            }
            archiveMore();
            forgetWhatIsArchived();
            kinesis.isDelayed = true;
            kinesis.throttling = random.nextBoolean() ? 0 : 0.1;
            isFollowing = random.nextInt(4) == 0;
            job = new SourceJob(source(), 1 + random.nextInt(3), null);
        }

        private EventSource source() throws IOException {
            ArchiveReading reading = isFollowing
                    ? ArchiveReading.follow(archive.toString(), 1)
                    : ArchiveReading.upTo(archive.toString(), positions());
            return new EventSource(
                    stream.source(KinesisSource.builder("s", Archive.decoder())
                            .fromTrimHorizon()
                            .timeOfLog()
                            .maxRecords(1 + random.nextInt(8))),
                    Archive.decoder(),
                    reading,
                    true);
        }

        private Map<String, String> positions() {
            Map<String, String> positions = new HashMap<>();
            wanted.forEach((shard, records) -> {
                if (records > 0) {
                    positions.put(shard, position(puts(shard).get(records - 1)));
                }
            });
            return positions;
        }

        private List<ModelKinesis.Put> puts(String shard) {
            return kinesis.puts.stream()
                    .filter(put -> put.shard().equals(shard))
                    .toList();
        }

        private static String position(ModelKinesis.Put put) {
            return SequenceOrder.position(put.number(), put.index());
        }

        /** As a job archives that reads shards in order: of what came of a shard nothing before all of that. */
        private void archiveMore() throws IOException {
            for (ModelKinesis.Put put : kinesis.puts) {
                String shard = put.shard();
                if (!wanted.containsKey(shard)) {
                    wanted.put(shard, 0);
                    archived.put(shard, 0);
                }
            }
            for (String shard : wanted.keySet()) {
                if (kinesis.shards().contains(shard)
                        && kinesis.parents(shard).stream().allMatch(this::isWanted)) {
                    archiveMore(shard);
                }
            }
        }

        /** Whether all of a shard is to be read in the archive, and of those that it came of. */
        private boolean isWanted(String shard) {
            return wanted.getOrDefault(shard, 0) == puts(shard).size()
                    && (!kinesis.shards().contains(shard)
                            || kinesis.parents(shard).stream().allMatch(this::isWanted));
        }

        private void archiveMore(String shard) throws IOException {
            List<ModelKinesis.Put> puts = puts(shard);
            int before = wanted.get(shard);
            int now = random.nextInt(3) > 0 ? puts.size() : before + random.nextInt(puts.size() - before + 1);
            wanted.put(shard, now);
            int least = Math.max(now, archived.get(shard));
            int end = random.nextBoolean() ? least : least + random.nextInt(puts.size() - least + 1);
            int begin = archived.get(shard);
            archived.put(shard, end);
            for (int from = begin; from < end; ) {
                int to = from + 1 + random.nextInt(end - from);
                int first = random.nextInt(4) == 0 ? begin + random.nextInt(from - begin + 1) : from;
                int last = random.nextInt(4) == 0 ? first + 1 + random.nextInt(to - first) : to;
                write(shard, puts, first, last);
                from = Math.max(from, last);
            }
        }

        /** Now and then what other files have is there again, as after the archiving job was started over. */
        private void write(String shard, List<ModelKinesis.Put> puts, int first, int to) throws IOException {
            List<GenericRecord> records = new ArrayList<>();
            for (int record = first; record < to; record++) {
                ModelKinesis.Put put = puts.get(record);
                records.add(Archive.archived(
                        put.key(),
                        put.number(),
                        put.index(),
                        record == 0 ? null : position(puts.get(record - 1)),
                        put.arrivalMs(),
                        put.id().getBytes(StandardCharsets.UTF_8)));
            }
            archive.write(shard, "part-" + filesWritten++, records.toArray(new GenericRecord[0]));
        }

        /** What is to be read in the archive may be older than the retention of the stream, parents before children. */
        private void forgetWhatIsArchived() {
            for (String shard : List.copyOf(wanted.keySet())) {
                int forgotten = random.nextInt(3);
                boolean isOver = isWanted(shard)
                        && !kinesis.openShards().contains(shard)
                        && kinesis.parents(shard).stream().noneMatch(kinesis.shards()::contains);
                if (forgotten == 0 && isOver) {
                    kinesis.expire(shard);
                } else if (forgotten == 1) {
                    Set<String> numbers = new HashSet<>();
                    puts(shard).subList(0, wanted.get(shard)).forEach(put -> numbers.add(put.number()));
                    kinesis.trim(shard, Math.max(0, numbers.size() - 1));
                }
            }
        }

        void run() throws IOException {
            for (int steps = 100 + random.nextInt(600); steps > 0; steps--) {
                step();
            }
            goOnWithoutFaults();
            check();
        }

        private void step() throws IOException {
            SourceJob.Subtask subtask = job.subtasks[random.nextInt(job.parallelism())];
            int what = random.nextInt(1_000);
            if (what < 300) {
                subtask.poll(1 + random.nextInt(10));
            } else if (what < 420) {
                kinesis.answerOne();
            } else if (what < 480) {
                stream.passTime(random.nextInt(40) == 0 ? 4_000_000 : random.nextInt(600));
            } else if (what < 520) {
                produce();
            } else if (what < 535) {
                reshard();
            } else if (what < 580) {
                job.list();
            } else if (what < 680) {
                subtask.deliver();
            } else if (what < 740) {
                subtask.hear();
            } else if (what < 780) {
                subtask.notice();
            } else if (what < 860) {
                subtask.start();
            } else if (what < 880) {
                job.beginCheckpoint();
            } else if (what < 920) {
                job.snapshot(subtask);
            } else if (what < 940) {
                job.complete();
            } else if (what < 943) {
                job.abort();
            } else if (what < 960) {
                job.checkpoint();
            } else if (what < 965) {
                subtask.look();
            } else {
                fail(subtask, what);
            }
        }

        private void fail(SourceJob.Subtask subtask, int what) throws IOException {
            if (what < 970) {
                job.crash(subtask);
            } else if (what < 972) {
                job.fail(subtask);
            } else if (what < 975) {
                job.crash(job.parallelism());
            } else if (what < 978) {
                job.crash(1 + random.nextInt(4));
            } else if (what < 980) {
                archiveMore();
                isFollowing = isFollowing && random.nextBoolean();
                job.crash(source(), 1 + random.nextInt(3));
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
                List<String> shards = kinesis.openShards();
                String shard = shards.get(random.nextInt(shards.size()));
                if (random.nextBoolean()) {
                    kinesis.split(shard);
                } else {
                    kinesis.merge(shard);
                }
            }
        }

        private void goOnWithoutFaults() throws IOException {
            kinesis.throttling = 0;
            kinesis.isDelayed = false;
            kinesis.answerAll();
            job.abort();
            if (isFollowing) {
                isFollowing = false;
                job.crash(source(), job.parallelism());
            }
            job.restartFailed();
            for (int round = 0; !missing().isEmpty(); round++) {
                assertThat(round)
                        .as("rounds until all is read; missing: %s", missing())
                        .isLessThan(200);
                goOn();
            }
            for (int round = 0; round < 40; round++) {
                goOn();
            }
        }

        private void goOn() {
            job.settle();
            job.list();
            job.settle();
            job.checkpoint();
            job.settle();
            stream.passTime(1_500);
            job.settle();
        }

        private Set<String> missing() {
            Set<String> missing = new TreeSet<>();
            kinesis.puts.forEach(put -> missing.add(put.id()));
            job.covered.forEach(emitted -> missing.remove(id(emitted.event())));
            return missing;
        }

        private static String id(Event event) {
            return new String(event.payload, StandardCharsets.UTF_8);
        }

        private void check() {
            assertThat(job.covered.stream()
                            .map(emitted -> id(emitted.event()))
                            .sorted()
                            .toList())
                    .isEqualTo(kinesis.puts.stream()
                            .map(ModelKinesis.Put::id)
                            .sorted()
                            .toList());
            checkOrder();
            for (SourceJob.Subtask subtask : job.subtasks) {
                assertThat(subtask.output.watermark).isGreaterThan(kinesis.nowMs - 4_000);
            }
        }

        /** A record comes behind the one before it of the same subtask, or behind a checkpoint that covers that. */
        private void checkOrder() {
            Map<String, SourceJob.Emitted> emitted = new HashMap<>();
            Map<String, Integer> places = new HashMap<>();
            for (SourceJob.Emitted one : job.covered) {
                places.put(id(one.event()), places.size());
                emitted.put(id(one.event()), one);
            }
            Map<String, String> lastOfKey = new HashMap<>();
            Map<String, String> lastOfShard = new HashMap<>();
            for (ModelKinesis.Put put : kinesis.puts) {
                SourceJob.Emitted next = emitted.get(put.id());
                SourceJob.Emitted before = emitted.get(lastOfKey.put(put.key(), put.id()));
                if (before != null) {
                    boolean isInOrder = before.reader() == next.reader()
                            ? places.get(id(before.event())) < places.get(put.id())
                            : before.coveredBy() <= next.barrier();
                    assertThat(isInOrder).as("%s before %s", before, next).isTrue();
                }
                String previous = lastOfShard.put(put.shard(), position(put));
                assertThat(next.event().position()).isEqualTo(position(put));
                assertThat(next.event().previous).isIn(null, previous);
            }
        }

        @Override
        public void close() {
            job.close();
        }
    }
}
