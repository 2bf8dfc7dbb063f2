package io.kinesisflink.source;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;

/** What tests share that drive a job on the model of Kinesis step by step. */
abstract class ModelTest {

    static final String A = "shardId-000000000000";
    static final String B = "shardId-000000000001";
    static final String C = "shardId-000000000002";
    static final String D = "shardId-000000000003";

    final Random random = new Random(1);
    ModelKinesis kinesis = new ModelKinesis(random, 1);
    ModelJob job;

    @AfterEach
    void end() {
        if (job != null) {
            for (ModelJob.Subtask subtask : job.subtasks) {
                if (subtask.reader != null) {
                    subtask.reader.close();
                }
            }
        }
    }

    /** Starts a job, which has listed the shards and read what there is. */
    void start(int parallelism, UnaryOperator<KinesisSourceBuilder<KinesisRecord>> with) {
        job = new ModelJob(kinesis, settings(with), parallelism, random);
        goOn();
    }

    static Settings settings(UnaryOperator<KinesisSourceBuilder<KinesisRecord>> with) {
        return with.apply(KinesisSource.builder("s", new AsItIs())).settings();
    }

    /** Starts and reads whatever can be, without a checkpoint and without time passing. */
    void goOn() {
        job.settle();
        job.list();
        job.settle();
    }

    /** The same over some time. */
    void goOn(long ms) {
        for (long passed = 0; passed < ms; passed += 250) {
            job.passTime(250);
            goOn();
        }
    }

    /** What subtasks have emitted since they were started, in their order. */
    List<String> emitted() {
        return Arrays.stream(job.subtasks)
                .flatMap(subtask -> emitted(subtask).stream())
                .toList();
    }

    static List<String> emitted(ModelJob.Subtask subtask) {
        return subtask.output.records.stream().map(ModelTest::id).toList();
    }

    static String id(KinesisRecord record) {
        return new String(record.data(), java.nio.charset.StandardCharsets.UTF_8);
    }

    /** What completed checkpoints cover. */
    List<String> covered() {
        return job.covered.stream().map(ModelJob.Emitted::id).toList();
    }

    ModelJob.Subtask subtaskOf(String shard) {
        return job.subtasks[ShardAssigner.BY_HASH.subtaskOf(shard, job.parallelism)];
    }

    long count(String counter) {
        return Arrays.stream(job.subtasks)
                .mapToLong(subtask -> subtask.readerContext.count("KinesisConsumer." + counter))
                .sum();
    }

    long requests(String kind) {
        return kinesis.requests.stream()
                .filter(request -> request.startsWith(kind))
                .count();
    }
}
