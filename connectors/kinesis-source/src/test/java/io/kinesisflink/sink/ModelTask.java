package io.kinesisflink.sink;

import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalLong;
import java.util.PriorityQueue;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.JobInfo;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.metrics.groups.OperatorIOMetricGroup;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.util.SimpleUserCodeClassLoader;
import org.apache.flink.util.UserCodeClassLoader;
import org.apache.flink.util.function.ThrowingRunnable;

/** What a writer sees of Flink: a task's mailbox, and a clock that the test moves. Metrics are kept by their names. */
final class ModelTask implements WriterInitContext, MailboxExecutor, ProcessingTimeService {

    private record Timer(long atMs, int number, ProcessingTimeCallback callback) {}

    final Map<String, Counter> counters = new HashMap<>();
    final Map<String, Gauge<?>> gauges = new HashMap<>();
    long nowMs = 1_000_000;

    /** What happens where the task waits and nothing has come; false if nothing can, and then a time comes. */
    BooleanSupplier whileWaiting = () -> false;

    private final Deque<ThrowingRunnable<? extends Exception>> mails = new ConcurrentLinkedDeque<>();
    private final Semaphore posted = new Semaphore(0);
    private final PriorityQueue<Timer> timers =
            new PriorityQueue<>(Comparator.comparingLong(Timer::atMs).thenComparingInt(Timer::number));
    private int timersEver;

    /** Does all that is to be done now. */
    void settle() {
        while (runOne()) {
            // until there is nothing more
        }
    }

    void passTime(long ms) {
        long end = nowMs + ms;
        while (!timers.isEmpty() && timers.peek().atMs <= end) {
            nowMs = Math.max(nowMs, timers.peek().atMs);
            settle();
        }
        nowMs = end;
        settle();
    }

    private boolean runOne() {
        if (mails.isEmpty() && !timers.isEmpty() && timers.peek().atMs <= nowMs) {
            Timer timer = timers.remove();
            mails.add(() -> timer.callback.onProcessingTime(timer.atMs));
        }
        if (mails.isEmpty()) {
            return false;
        }
        run(mails.remove());
        return true;
    }

    private static void run(ThrowingRunnable<? extends Exception> mail) {
        try {
            mail.run();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void yield() {
        while (!runOne()) {
            if (!whileWaiting.getAsBoolean()) {
                if (timers.isEmpty()) {
                    throw new AssertionError("The task waits for ever");
                }
                nowMs = Math.max(nowMs, timers.peek().atMs);
            }
        }
    }

    @Override
    public boolean tryYield() {
        return runOne();
    }

    @Override
    public void execute(
            MailOptions options, ThrowingRunnable<? extends Exception> mail, String description, Object... arguments) {
        mails.add(mail);
        posted.release();
    }

    /** Waits for another thread's mail: a little if a time may come instead, and otherwise long. */
    boolean awaitMail() {
        try {
            posted.drainPermits();
            return !mails.isEmpty() || posted.tryAcquire(timers.isEmpty() ? 30_000 : 100, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    public boolean shouldInterrupt() {
        return false;
    }

    @Override
    public long getCurrentProcessingTime() {
        return nowMs;
    }

    @Override
    public ScheduledFuture<?> registerTimer(long time, ProcessingTimeCallback callback) {
        timers.add(new Timer(time, timersEver++, callback));
        return null;
    }

    long count(String name) {
        return counters.get(name).getCount();
    }

    @Override
    public SinkWriterMetricGroup metricGroup() {
        return new Metrics("");
    }

    private final class Metrics extends UnregisteredMetricsGroup implements SinkWriterMetricGroup {

        private final String name;

        private Metrics(String name) {
            this.name = name;
        }

        @Override
        public Counter counter(String counter) {
            return counters.computeIfAbsent(name + counter, none -> new SimpleCounter());
        }

        @Override
        public <T, G extends Gauge<T>> G gauge(String gauge, G kept) {
            gauges.put(name + gauge, kept);
            return kept;
        }

        @Override
        public MetricGroup addGroup(String group) {
            return new Metrics(name + group + ".");
        }

        @Override
        public OperatorIOMetricGroup getIOMetricGroup() {
            return createOperatorIOMetricGroup();
        }

        @Override
        @SuppressWarnings("deprecation")
        public Counter getNumRecordsOutErrorsCounter() {
            return getNumRecordsSendErrorsCounter();
        }

        @Override
        public Counter getNumRecordsSendErrorsCounter() {
            return counter("numRecordsSendErrors");
        }

        @Override
        public Counter getNumRecordsSendCounter() {
            return counter("numRecordsSend");
        }

        @Override
        public Counter getNumBytesSendCounter() {
            return counter("numBytesSend");
        }

        @Override
        public void setCurrentSendTimeGauge(Gauge<Long> gauge) {
            gauges.put("currentSendTime", gauge);
        }
    }

    @Override
    public MailboxExecutor getMailboxExecutor() {
        return this;
    }

    @Override
    public ProcessingTimeService getProcessingTimeService() {
        return this;
    }

    @Override
    public UserCodeClassLoader getUserCodeClassLoader() {
        return SimpleUserCodeClassLoader.create(getClass().getClassLoader());
    }

    @Override
    public SerializationSchema.InitializationContext asSerializationSchemaInitializationContext() {
        return new SerializationSchema.InitializationContext() {
            @Override
            public MetricGroup getMetricGroup() {
                return metricGroup();
            }

            @Override
            public UserCodeClassLoader getUserCodeClassLoader() {
                return ModelTask.this.getUserCodeClassLoader();
            }
        };
    }

    @Override
    public boolean isObjectReuseEnabled() {
        return false;
    }

    @Override
    public <T> TypeSerializer<T> createInputSerializer() {
        throw new AssertionError("Nobody asks for it");
    }

    @Override
    public OptionalLong getRestoredCheckpointId() {
        throw new AssertionError("Nobody asks for it");
    }

    @Override
    public JobInfo getJobInfo() {
        throw new AssertionError("Nobody asks for it");
    }

    @Override
    public TaskInfo getTaskInfo() {
        throw new AssertionError("Nobody asks for it");
    }
}
