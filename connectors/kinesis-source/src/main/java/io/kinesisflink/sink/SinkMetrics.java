package io.kinesisflink.sink;

import io.kinesisflink.client.Failure;
import java.util.List;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a subtask counts: Flink's own metrics of sinks, and others in the group {@code KinesisProducer} of its operator. */
final class SinkMetrics {

    private static final Logger LOG = LoggerFactory.getLogger(SinkMetrics.class);

    private static final String GROUP = "KinesisProducer";

    /** How often a failure that goes on is said again. */
    private static final int SAID_EACH = 20;

    private final String stream;
    private final Counter records;
    private final Counter bytes;
    private final Counter errors;
    private final Counter retried;
    private final Counter throttled;
    private final Counter failed;
    private long sendMs;
    private int failuresInARow;

    SinkMetrics(SinkWriterMetricGroup operator, String stream, Outbox outbox) {
        this.stream = stream;
        records = operator.getNumRecordsSendCounter();
        bytes = operator.getNumBytesSendCounter();
        errors = operator.getNumRecordsSendErrorsCounter();
        operator.setCurrentSendTimeGauge(() -> sendMs);
        MetricGroup group = operator.addGroup(GROUP);
        retried = group.counter("recordsRetried");
        throttled = group.counter("throttled");
        failed = group.counter("failedRequests");
        group.gauge("recordsBuffered", (Gauge<Integer>) outbox::records);
        group.gauge("bytesBuffered", (Gauge<Long>) outbox::bytes);
    }

    /** A request was answered after so many milliseconds. */
    void answered(long afterMs) {
        sendMs = afterMs;
    }

    void taken(PutEntry entry) {
        failuresInARow = 0;
        records.inc();
        bytes.inc(entry.bytes());
    }

    /** Records of one request were not taken, and are sent again. */
    void retried(List<PutEntry> entries, Failure failure, Throwable said) {
        errors.inc(entries.size());
        retried.inc(entries.size());
        if (failure == Failure.THROTTLED) {
            throttled.inc();
            return;
        }
        failed.inc();
        if (failuresInARow++ % SAID_EACH == 0) {
            LOG.warn(
                    "{} records could not be written to {}; they are tried again (failure {} since one was written)",
                    entries.size(),
                    stream,
                    failuresInARow,
                    said);
        }
    }
}
