package io.kinesisflink.source;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.StreamId;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a subtask counts. All is in the group {@code KinesisConsumer} of its operator, and what is said of one shard in
 * {@code stream}, {@code shardId} below that, where AWS's consumer had it. Where the ARN of the stream is known it is also
 * where AWS's source has it.
 */
final class SourceMetrics {

    private static final Logger LOG = LoggerFactory.getLogger(SourceMetrics.class);

    private static final String GROUP = "KinesisConsumer";
    private static final String GROUP_OF_AWS = "KinesisStreamSource";
    private static final String ACCOUNT = "accountId";
    private static final String REGION = "region";
    private static final String STREAM = "stream";
    private static final String SHARD = "shardId";
    private static final String MILLIS_BEHIND_LATEST = "millisBehindLatest";

    /** How often a failure that goes on is said again. */
    private static final int SAID_EACH = 20;

    private final MetricGroup group;
    private final List<MetricGroup> streamGroups = new ArrayList<>();
    private final Counter records;
    private final Counter bytes;
    private final Counter throttled;
    private final Counter failed;
    private final Counter iteratorsExpired;
    private final Counter positionsTrimmed;
    private final Counter millisTrimmed;
    private final Counter aggregatesPassedOver;

    SourceMetrics(SourceReaderMetricGroup operator, String stream) {
        group = operator.addGroup(GROUP);
        streamGroups.add(group.addGroup(STREAM, stream));
        if (StreamId.isArn(stream)) {
            streamGroups.add(groupOfAws(operator, stream.split(":", 6)));
        }
        records = operator.getIOMetricGroup().getNumRecordsInCounter();
        bytes = operator.getIOMetricGroup().getNumBytesInCounter();
        throttled = group.counter("throttled");
        failed = group.counter("failedRequests");
        iteratorsExpired = group.counter("iteratorsExpired");
        positionsTrimmed = group.counter("positionsTrimmed");
        millisTrimmed = group.counter("millisTrimmed");
        aggregatesPassedOver = group.counter("aggregatesPassedOver");
    }

    /** Takes the parts of {@code arn:<partition>:kinesis:<region>:<account>:stream/<name>}. */
    private static MetricGroup groupOfAws(MetricGroup operator, String[] arn) {
        return operator.addGroup(GROUP_OF_AWS)
                .addGroup(ACCOUNT, arn[4])
                .addGroup(REGION, arn[3])
                .addGroup(STREAM, arn[5].substring(arn[5].indexOf('/') + 1));
    }

    void gauge(String name, LongSupplier value) {
        group.gauge(name, (Gauge<Long>) value::getAsLong);
    }

    /** How far one shard is behind, in milliseconds. A shard that is read again has the gauge that it had. */
    void shard(String shard, LongSupplier behindMs) {
        for (MetricGroup stream : streamGroups) {
            stream.addGroup(SHARD, shard).gauge(MILLIS_BEHIND_LATEST, (Gauge<Long>) behindMs::getAsLong);
        }
    }

    void read(long size) {
        records.inc();
        bytes.inc(size);
    }

    void throttled() {
        throttled.inc();
    }

    void iteratorExpired() {
        iteratorsExpired.inc();
    }

    void aggregatePassedOver(String shard, String sequenceNumber) {
        aggregatesPassedOver.inc();
        LOG.warn(
                "An aggregate holds records of another shard; its producer sends them again ({}, {})",
                shard,
                sequenceNumber);
    }

    /** Takes the arrivals between which records may be lost, {@link ShardSplit#UNKNOWN} where one is not known. */
    void trimmed(long fromMs, long toMs) {
        positionsTrimmed.inc();
        if (fromMs != ShardSplit.UNKNOWN && toMs != ShardSplit.UNKNOWN) {
            millisTrimmed.inc(Math.max(0, toMs - fromMs));
        }
    }

    long positionsTrimmed() {
        return positionsTrimmed.getCount();
    }

    /** A request failed the n-th time in a row, and is made again. */
    void failed(String shard, Throwable thrown, int times) {
        failed.inc();
        if (times % SAID_EACH == 1) {
            LOG.warn(
                    "Shard {} could not be read; it is tried again (failure {} in a row)",
                    shard,
                    times,
                    Failure.causeOf(thrown));
        }
    }
}
