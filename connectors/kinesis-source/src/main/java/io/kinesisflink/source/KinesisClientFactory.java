package io.kinesisflink.source;

import java.io.Serializable;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;

/** Makes the client of each subtask and of the enumerator, which close what they got. */
@FunctionalInterface
public interface KinesisClientFactory extends Serializable {

    KinesisAsyncClient create();
}
