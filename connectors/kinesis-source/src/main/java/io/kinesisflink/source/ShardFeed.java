package io.kinesisflink.source;

/** Where the records of a shard come from: polling or a subscription. Used by the subtask's thread alone. */
interface ShardFeed {

    /** Who gets what a feed fetches, in the subtask's thread. */
    interface Taker {

        void take(Batch batch);

        /** Kinesis does not have the shard any more: everything in it is older than the retention. */
        void expired();

        /** It is certain that this will never work. */
        void failed(RuntimeException failure);
    }

    /** Asks for one more batch, which the taker gets some time later; to be called again when it has. */
    void pull();

    /** Nothing is heard of it after this. */
    void close();
}
