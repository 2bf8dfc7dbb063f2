package io.kinesisflink.sink;

import java.io.Serializable;

/**
 * How a sink writes.
 *
 * @param stream the name of the stream, or its ARN
 * @param isOrdered whether the records of a partition key keep their order
 * @param maxInFlightRequests the most requests of a subtask that are under way at once
 * @param maxTimeInBufferMs how long a record waits for others of its request, in milliseconds
 * @param maxBufferedRecords with so many records a subtask takes no more
 * @param maxBufferedBytes with records of so many bytes a subtask takes no more
 * @param maxRecordBytes the most bytes of a record, data and partition key
 */
record SinkSettings(
        String stream,
        boolean isOrdered,
        int maxInFlightRequests,
        long maxTimeInBufferMs,
        int maxBufferedRecords,
        long maxBufferedBytes,
        int maxRecordBytes)
        implements Serializable {

    /** The most records of a request, which Kinesis sets. */
    static final int REQUEST_RECORDS = 500;

    /** What every Kinesis takes in one request. Streams with larger records than that take as much as such a record. */
    private static final int REQUEST_BYTES = 5 << 20;

    int requestBytes() {
        return Math.max(REQUEST_BYTES, maxRecordBytes);
    }
}
