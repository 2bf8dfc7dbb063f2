// In Flink's package, for the registry of its Prometheus reporter is seen from nowhere else.
package org.apache.flink.metrics.prometheus;

import io.prometheus.client.exporter.HTTPServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.Properties;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/** Flink's Prometheus reporter for local runs, which answers on the {@code port} of 127.0.0.1 alone, not of every network. */
public final class LoopbackReporterFactory implements MetricReporterFactory {

    @Override
    public MetricReporter createMetricReporter(Properties properties) {
        return new LoopbackReporter(Integer.parseInt(properties.getProperty("port")));
    }

    private static final class LoopbackReporter extends AbstractPrometheusReporter {

        private final HTTPServer server;

        LoopbackReporter(int port) {
            try {
                server = new HTTPServer(new InetSocketAddress("127.0.0.1", port), registry, true);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        @Override
        public void close() {
            server.stop();
            super.close();
        }
    }
}
