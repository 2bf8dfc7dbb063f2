package io.kinesisflink.sink;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.util.InstantiationUtil;
import org.junit.jupiter.api.Test;

class KinesisSinkTest {

    private static ModelStream stream;

    private static KinesisSinkBuilder<String> builder() {
        return KinesisSink.<String>builder("s").partitionKey(text -> text).data(new SimpleStringSchema());
    }

    @Test
    void itIsSerializable() throws Exception {
        InstantiationUtil.clone(builder()
                .region("eu-west-1")
                .endpoint("http://localhost:4566")
                .withoutCbor()
                .build());
        stream = new ModelStream(new Random(1));
        KinesisSink<String> sink = InstantiationUtil.clone(
                builder().clients(() -> stream.client(0)).build());
        SinkWriter<String> writer = sink.createWriter(new ModelTask());
        writer.write("a", null);
        writer.flush(true);
        writer.close();
        assertThat(stream.texts()).containsExactly("a");
        assertThat(stream.closed).isEqualTo(1);
    }

    @Test
    void theSchemaIsOpened() throws Exception {
        stream = new ModelStream(new Random(1));
        SerializationSchema<String> counting = new SerializationSchema<>() {
            private static final long serialVersionUID = 1L;
            private transient String prefix;

            @Override
            public void open(InitializationContext context) {
                prefix = "open ";
            }

            @Override
            public byte[] serialize(String text) {
                return (prefix + text).getBytes(StandardCharsets.UTF_8);
            }
        };
        KinesisSink<String> sink =
                builder().data(counting).clients(() -> stream.client(0)).build();
        SinkWriter<String> writer = sink.restoreWriter(new ModelTask(), List.of());
        writer.write("a", null);
        writer.flush(true);
        writer.close();
        assertThat(stream.texts()).containsExactly("open a");
    }

    @Test
    void whatDoesNotFitIsRefused() {
        assertThatThrownBy(() -> builder().maxInFlightRequests(0)).hasMessageContaining("maxInFlightRequests");
        assertThatThrownBy(() -> builder().maxBufferedRecords(0)).hasMessageContaining("maxBufferedRecords");
        assertThatThrownBy(() -> builder().maxBufferedBytes(0)).hasMessageContaining("maxBufferedBytes");
        assertThatThrownBy(() -> builder().maxRecordBytes(11 << 20)).hasMessageContaining("maxRecordBytes");
        assertThatThrownBy(() -> builder().maxTimeInBuffer(Duration.ZERO)).hasMessageContaining("maxTimeInBuffer");
        assertThatThrownBy(() -> KinesisSink.builder("s").build()).hasMessageContaining("partitionKey and data");
    }
}
