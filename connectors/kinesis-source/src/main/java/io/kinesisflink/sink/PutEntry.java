package io.kinesisflink.sink;

import io.kinesisflink.client.Failure;
import io.kinesisflink.client.Retries;
import java.nio.charset.StandardCharsets;

/** One record on its way into the stream, and how often in a row Kinesis did not take it. Each is equal to itself alone. */
final class PutEntry {

    private final String partitionKey;
    private final byte[] data;
    private final int bytes;
    private int failures;
    private int refusals;

    PutEntry(String partitionKey, byte[] data) {
        this.partitionKey = partitionKey;
        this.data = data;
        this.bytes = partitionKey.getBytes(StandardCharsets.UTF_8).length + data.length;
    }

    String partitionKey() {
        return partitionKey;
    }

    byte[] data() {
        return data;
    }

    /** What Kinesis counts: data and partition key. */
    int bytes() {
        return bytes;
    }

    void failed(Failure failure) {
        failures++;
        refusals = failure.isRefusal() ? refusals + 1 : 0;
    }

    int failures() {
        return failures;
    }

    /** Whether nothing but refusals was heard of it so many times in a row that it is believed. */
    boolean isRefused() {
        return refusals >= Retries.REFUSALS;
    }
}
