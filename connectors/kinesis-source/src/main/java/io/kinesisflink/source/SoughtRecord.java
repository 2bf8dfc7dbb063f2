package io.kinesisflink.source;

import java.util.List;
import software.amazon.awssdk.services.kinesis.model.Record;

/** The record behind which reading goes on, which has to come first: where it does not, what followed may be gone too. */
final class SoughtRecord {

    /** Null where none is sought. */
    private ShardPosition position;

    /** A request is made for the record at this position; for none if it is behind no record. */
    void seek(ShardPosition from) {
        position = from.isAfterRecord() ? from : null;
    }

    void seekNone() {
        position = null;
    }

    boolean isSought() {
        return position != null;
    }

    /** The position if the record is not the first of an answer, or of a shard that has no more; else null. */
    ShardPosition missing(List<Record> records, boolean isLast) {
        if (position == null || records.isEmpty() && !isLast) {
            return null;
        }
        ShardPosition sought = position;
        position = null;
        boolean isThere = !records.isEmpty() && sought.covers(records.get(0).sequenceNumber(), null);
        return isThere ? null : sought;
    }
}
