package io.kinesisflink.source;

import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.List;
import org.apache.flink.api.connector.source.SourceOutput;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * A shard that a subtask reads: what was fetched of it, where it is, and up to which time it has been read. The next batch
 * is fetched while one is handed on, no more. Used by the subtask's thread alone.
 */
final class ShardReading<T> implements ShardFeed.Taker {

    private static final Logger LOG = LoggerFactory.getLogger(ShardReading.class);

    private final ShardSplit split;
    private final BigInteger firstHashKey;
    private final BigInteger lastHashKey;
    private final Settings settings;
    private final SourceMetrics metrics;
    private final Loop loop;
    private final ArrayDeque<Batch> fetched = new ArrayDeque<>(2);

    private ShardFeed feed;
    private boolean isPulling;
    private boolean isPaused;
    private boolean isClosed;
    private RuntimeException failure;

    private Batch batch;
    private int nextRecord;
    private Record record;
    private List<Aggregate.UserRecord> aggregate;
    private int nextOfAggregate;

    private ShardPosition position;
    private long arrivalMs;
    private long readToMs;
    private long timeMs = ShardSplit.UNKNOWN;
    private volatile long behindMs = Batch.UNKNOWN;

    /** Where its records go; null before the first one. */
    SourceOutput<T> output;

    ShardReading(ShardSplit split, Settings settings, SourceMetrics metrics, Loop loop) {
        this.split = split;
        this.settings = settings;
        this.metrics = metrics;
        this.loop = loop;
        boolean hasRange =
                !split.firstHashKey().isEmpty() && !split.lastHashKey().isEmpty();
        this.firstHashKey = hasRange ? new BigInteger(split.firstHashKey()) : null;
        this.lastHashKey = hasRange ? new BigInteger(split.lastHashKey()) : null;
        this.position = split.position();
        this.arrivalMs = split.arrivalMs();
        this.readToMs = split.readToMs();
    }

    String shard() {
        return split.shardId();
    }

    /** Begins to fetch. */
    void begin(ShardFeed feed) {
        this.feed = feed;
        pull();
    }

    boolean hasBegun() {
        return feed != null;
    }

    /** Where a checkpoint would go on. */
    ShardSplit state() {
        return new ShardSplit(shard(), position, split.firstHashKey(), split.lastHashKey(), arrivalMs, readToMs);
    }

    ShardPosition position() {
        return position;
    }

    boolean hasEnded() {
        return position.isEnd();
    }

    /**
     * Up to which arrival it has been read, in epoch milliseconds; {@link ShardSplit#UNKNOWN} if that is not known in this
     * run: what an earlier one knew may be of another clock.
     */
    long timeMs() {
        return timeMs;
    }

    /** How far what was handed on is behind the newest record, in milliseconds, or {@link Batch#UNKNOWN}. */
    long behindMs() {
        return behindMs;
    }

    boolean isReady() {
        return !isPaused && !isClosed && (batch != null || !fetched.isEmpty());
    }

    void pause(boolean isPaused) {
        this.isPaused = isPaused;
        pull();
    }

    /** Fails with what the feed failed with. */
    void checkFailure() {
        if (failure != null) {
            throw failure;
        }
    }

    void close() {
        isClosed = true;
        fetched.clear();
        batch = null;
        if (feed != null) {
            feed.close();
        }
    }

    @Override
    public void take(Batch taken) {
        isPulling = false;
        fetched.add(taken);
    }

    @Override
    public void expired() {
        isPulling = false;
        fetched.add(new Batch(List.of(), 0, ShardSplit.UNKNOWN, true, position));
    }

    @Override
    public void failed(RuntimeException failure) {
        this.failure = failure;
    }

    private void pull() {
        boolean isOver = !fetched.isEmpty() && fetched.peekLast().isLast() || batch != null && batch.isLast();
        if (feed != null && !isClosed && !isPulling && !isPaused && !isOver && fetched.isEmpty() && !hasEnded()) {
            isPulling = true;
            feed.pull();
        }
    }

    /** The next record, whose position is from now on the one of the shard; null if the current batch has no more. */
    KinesisRecord next() {
        if (batch == null) {
            startBatch();
        }
        while (true) {
            if (aggregate != null && nextOfAggregate < aggregate.size()) {
                KinesisRecord next = nextOfAggregate();
                if (next != null) {
                    return next;
                }
            } else if (nextRecord < batch.records().size()) {
                KinesisRecord next = open(batch.records().get(nextRecord++));
                if (next != null) {
                    return next;
                }
            } else {
                return null;
            }
        }
    }

    private void startBatch() {
        batch = fetched.remove();
        nextRecord = 0;
        aggregate = null;
        pull();
        if (batch.missing() != null) {
            noteTrimmed();
        }
    }

    /** Null where it was read before, or is an aggregate, whose records come next. */
    private KinesisRecord open(Record next) {
        record = next;
        aggregate = null;
        String number = next.sequenceNumber();
        if (position.isAfterRecord()
                && position.covers(number, null)
                && (position.subSequenceNumber() == null || !number.equals(position.sequenceNumber()))) {
            return null;
        }
        byte[] data = next.data().asByteArrayUnsafe();
        List<Aggregate.UserRecord> opened = Aggregate.open(data);
        if (opened == null) {
            return isBehind(null) ? null : handOn(null, next.partitionKey(), null, data);
        }
        if (firstHashKey != null && !Aggregate.isWithin(opened, firstHashKey, lastHashKey)) {
            metrics.aggregatePassedOver(shard(), number);
            return null;
        }
        aggregate = opened;
        nextOfAggregate = 0;
        return null;
    }

    private KinesisRecord nextOfAggregate() {
        long index = nextOfAggregate++;
        if (isBehind(index)) {
            return null;
        }
        Aggregate.UserRecord user = aggregate.get((int) index);
        return handOn(index, user.partitionKey(), user.explicitHashKey(), user.data());
    }

    private boolean isBehind(Long index) {
        return position.isAfterRecord() && position.covers(record.sequenceNumber(), index);
    }

    private KinesisRecord handOn(Long index, String partitionKey, String explicitHashKey, byte[] data) {
        ShardPosition previous = position;
        position = ShardPosition.ofRead(record.sequenceNumber(), index);
        arrivalMs = arrivalOf(record);
        metrics.read(data.length);
        return new KinesisRecord(
                settings.stream(),
                shard(),
                record.sequenceNumber(),
                index,
                previous,
                partitionKey,
                explicitHashKey,
                arrivalMs,
                data);
    }

    /** In epoch milliseconds; 0 if Kinesis does not say it. */
    static long arrivalOf(Record record) {
        return record.approximateArrivalTimestamp() == null
                ? 0
                : record.approximateArrivalTimestamp().toEpochMilli();
    }

    /**
     * All records of the batch have been handed on. Time moves to the newest of them, and where the shard is open to when
     * Kinesis said that there was nothing more. One that was closed has nothing more either, but its children do.
     */
    void finishBatch(boolean isClosedByKinesis) {
        List<Record> records = batch.records();
        if (!records.isEmpty()) {
            reach(arrivalOf(records.get(records.size() - 1)));
        }
        behindMs = batch.behindMs();
        if (batch.isLast()) {
            position = ShardPosition.end();
            behindMs = 0;
            feed.close();
        } else if (!isClosedByKinesis) {
            reach(batch.readToMs());
        }
        batch = null;
        aggregate = null;
        record = null;
        pull();
    }

    private void reach(long toMs) {
        timeMs = Math.max(timeMs, toMs);
        readToMs = Math.max(readToMs, toMs);
    }

    /**
     * The record at the position is gone. Nothing behind it can be lost if the shard was read up to a time that is still
     * within the retention: a shard that was quiet for long loses its position and nothing else.
     */
    private void noteTrimmed() {
        long keptSince = loop.nowMs() - settings.retentionMs();
        if (readToMs >= keptSince && arrivalMs < keptSince) {
            LOG.info(
                    "Shard {} has no record at {} any more, and nothing behind that was lost",
                    shard(),
                    batch.missing());
            return;
        }
        boolean hasNext = !batch.records().isEmpty();
        long nextMs = hasNext ? arrivalOf(batch.records().get(0)) : ShardSplit.UNKNOWN;
        metrics.trimmed(arrivalMs, nextMs);
        LOG.error(
                "Shard {} of {} does not have what was to be read next: records behind {}{} are older than the retention of"
                        + " the stream, and lost, up to {}. Reading goes on there",
                shard(),
                settings.stream(),
                batch.missing(),
                arrivalMs == ShardSplit.UNKNOWN ? "" : ", which arrived at " + arrivalMs + ",",
                hasNext
                        ? batch.records().get(0).sequenceNumber() + ", which arrived at " + nextMs
                        : "the end of the shard");
    }
}
