package io.kinesisflink.client;

import java.io.Serializable;
import java.net.URI;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkSystemSetting;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.Http2Configuration;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClientBuilder;

/**
 * Clients with what the SDK finds by itself, but for what is given here; region, endpoint and keys may be null. Subscriptions need
 * HTTP/2, and all else works with HTTP/1.1, which every emulator speaks.
 */
public record Clients(String region, URI endpoint, Keys keys, boolean withoutCbor, boolean isFanOut)
        implements Serializable {

    /** Credentials that are given, not found. */
    public record Keys(String accessKeyId, String secretAccessKey) implements Serializable {

        @Override
        public String toString() {
            return "Keys[" + accessKeyId + "]";
        }
    }

    /** Of a source each shard has one request or subscription under way. */
    private static final int MOST_REQUESTS = 10_000;

    private static final int WINDOW_BYTES = 512 * 1024;

    /** A new one, which its user closes. */
    public KinesisAsyncClient create() {
        if (withoutCbor) {
            System.setProperty(SdkSystemSetting.CBOR_ENABLED.property(), "false");
        }
        KinesisAsyncClientBuilder builder = KinesisAsyncClient.builder().httpClientBuilder(http());
        if (region != null) {
            builder.region(Region.of(region));
        }
        if (endpoint != null) {
            builder.endpointOverride(endpoint);
        }
        if (keys != null) {
            builder.credentialsProvider(StaticCredentialsProvider.create(
                    AwsBasicCredentials.create(keys.accessKeyId(), keys.secretAccessKey())));
        }
        return builder.build();
    }

    private NettyNioAsyncHttpClient.Builder http() {
        NettyNioAsyncHttpClient.Builder http = NettyNioAsyncHttpClient.builder().maxConcurrency(MOST_REQUESTS);
        return isFanOut
                ? http.protocol(Protocol.HTTP2)
                        .http2Configuration(Http2Configuration.builder()
                                .initialWindowSize(WINDOW_BYTES)
                                .build())
                : http.protocol(Protocol.HTTP1_1);
    }
}
