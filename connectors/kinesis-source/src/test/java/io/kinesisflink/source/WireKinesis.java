package io.kinesisflink.source;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2DataFrame;
import io.netty.handler.codec.http2.Http2FrameCodecBuilder;
import io.netty.handler.codec.http2.Http2HeadersFrame;
import io.netty.handler.codec.http2.Http2MultiplexHandler;
import io.netty.handler.codec.http2.Http2StreamFrame;
import java.io.ByteArrayOutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;
import software.amazon.awssdk.eventstream.HeaderValue;
import software.amazon.awssdk.eventstream.Message;

/**
 * Kinesis's side of enhanced fan-out as it is on the wire: HTTP/2, and answers that are streams of events with lengths,
 * headers and checksums. What it answers to a subscription a test says; it closes the answer behind the last event.
 */
final class WireKinesis implements AutoCloseable {

    /** One event of an answer. */
    record Event(String kind, String type, String json) {

        static Event of(String json) {
            return new Event("event", "SubscribeToShardEvent", json);
        }

        static Event exception(String type, String message) {
            return new Event("exception", type, "{\"message\":\"" + message + "\"}");
        }

        private byte[] encoded() {
            Map<String, HeaderValue> headers = new LinkedHashMap<>();
            headers.put(":message-type", HeaderValue.fromString(kind));
            headers.put(kind.equals("event") ? ":event-type" : ":exception-type", HeaderValue.fromString(type));
            headers.put(":content-type", HeaderValue.fromString("application/x-amz-json-1.1"));
            java.nio.ByteBuffer buffer = new Message(headers, json.getBytes(StandardCharsets.UTF_8)).toByteBuffer();
            byte[] bytes = new byte[buffer.remaining()];
            buffer.get(bytes);
            return bytes;
        }
    }

    final List<String> subscriptions = new CopyOnWriteArrayList<>();

    private final EventLoopGroup threads = new NioEventLoopGroup(1);
    private final Channel channel;
    private final Function<String, List<Event>> answers;

    /** Takes what it answers to the body of a subscription. */
    WireKinesis(Function<String, List<Event>> answers) throws InterruptedException {
        this.answers = answers;
        channel = new ServerBootstrap()
                .group(threads)
                .channel(NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel connection) {
                        connection
                                .pipeline()
                                .addLast(
                                        Http2FrameCodecBuilder.forServer().build(),
                                        new Http2MultiplexHandler(new ChannelInitializer<>() {
                                            @Override
                                            protected void initChannel(Channel stream) {
                                                stream.pipeline().addLast(new Request());
                                            }
                                        }));
                    }
                })
                .bind(InetAddress.getLoopbackAddress(), 0)
                .sync()
                .channel();
    }

    URI url() {
        return URI.create("http://127.0.0.1:" + ((InetSocketAddress) channel.localAddress()).getPort());
    }

    /** A record as the wire has it; it arrived at this time in epoch seconds. */
    static String record(String number, String data, long arrival) {
        return "{\"SequenceNumber\":\"" + number + "\",\"ApproximateArrivalTimestamp\":" + arrival
                + ",\"PartitionKey\":\"k\",\"Data\":\""
                + Base64.getEncoder().encodeToString(data.getBytes(StandardCharsets.UTF_8)) + "\"}";
    }

    /** An event with these records; {@code next} is null at the end of the shard. */
    static Event event(String next, long behindMs, String... records) {
        String continuation = next == null ? "\"ChildShards\":[]" : "\"ContinuationSequenceNumber\":\"" + next + "\"";
        return Event.of("{\"Records\":[" + String.join(",", records) + "]," + continuation + ",\"MillisBehindLatest\":"
                + behindMs + "}");
    }

    @Override
    public void close() {
        channel.close().syncUninterruptibly();
        threads.shutdownGracefully(0, 1, java.util.concurrent.TimeUnit.SECONDS).syncUninterruptibly();
    }

    private final class Request extends SimpleChannelInboundHandler<Http2StreamFrame> {

        private final ByteArrayOutputStream body = new ByteArrayOutputStream();
        private String target = "";

        @Override
        protected void channelRead0(ChannelHandlerContext context, Http2StreamFrame frame) {
            if (frame instanceof Http2HeadersFrame headers) {
                target = String.valueOf(headers.headers().get("x-amz-target"));
                if (headers.isEndStream()) {
                    answer(context);
                }
            } else if (frame instanceof Http2DataFrame data) {
                byte[] bytes = new byte[data.content().readableBytes()];
                data.content().readBytes(bytes);
                body.writeBytes(bytes);
                if (data.isEndStream()) {
                    answer(context);
                }
            }
        }

        private void answer(ChannelHandlerContext context) {
            if (!target.endsWith(".SubscribeToShard")) {
                context.write(new DefaultHttp2HeadersFrame(new DefaultHttp2Headers().status("400"), true));
                context.flush();
                return;
            }
            String request = body.toString(StandardCharsets.UTF_8);
            subscriptions.add(request);
            context.write(new DefaultHttp2HeadersFrame(new DefaultHttp2Headers()
                    .status("200")
                    .set("content-type", "application/vnd.amazon.eventstream")
                    .set("x-amzn-requestid", "r" + subscriptions.size())));
            write(context, new Event("event", "initial-response", "{}"), false);
            List<Event> events = answers.apply(request);
            for (Event event : events) {
                write(context, event, false);
            }
            context.write(new DefaultHttp2DataFrame(Unpooled.EMPTY_BUFFER, true));
            context.flush();
        }

        private void write(ChannelHandlerContext context, Event event, boolean isLast) {
            context.write(new DefaultHttp2DataFrame(Unpooled.wrappedBuffer(event.encoded()), isLast));
        }
    }
}
