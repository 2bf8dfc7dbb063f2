package io.telefold.source;

import io.kinesisflink.source.KinesisSource;
import io.telefold.archive.ArchiveReading;
import io.telefold.event.Event;
import io.telefold.event.EventDecoder;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.Supplier;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.connector.source.SupportsSplitReassignmentOnRecovery;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * The events of a job: those of the Kinesis stream, or of its archive, or of the archive first and of the stream from
 * there on. To be used with {@code WatermarkStrategy.noWatermarks()}: the stream tells the time of the log.
 *
 * <p>A shard is read by the same subtask wherever it is read, in order, and where it is read from the stream after those
 * from which it came: {@link KinesisSource} sees to that. An archive does not say of which shards one came. Where the stream
 * is not read at all the first subtask reads the archive, shard by shard; where it is, {@code ArchiveElders} has who waits
 * for whom, and the stream begins when a checkpoint covers all that is to be read of the archive.
 */
public final class EventSource
        implements Source<Event, LogSplit, LogState>, SupportsSplitReassignmentOnRecovery, ResultTypeQueryable<Event> {

    private static final long serialVersionUID = 1L;

    private final KinesisSource<Event> stream;
    private final EventDecoder decoder;
    private final ArchiveReading archive;
    private final boolean hasCheckpoints;

    /**
     * Takes the source of the stream, what makes events of an archive's records, what to read of the archive, or null, and
     * whether the job takes checkpoints.
     */
    public EventSource(
            KinesisSource<Event> stream, EventDecoder decoder, ArchiveReading archive, boolean hasCheckpoints) {
        this.stream = stream;
        this.decoder = decoder;
        this.archive = archive;
        this.hasCheckpoints = hasCheckpoints;
    }

    @Override
    public Boundedness getBoundedness() {
        return archive == null || archive.goesOnWithTheStream() || archive.goesOnWithNewFiles()
                ? Boundedness.CONTINUOUS_UNBOUNDED
                : Boundedness.BOUNDED;
    }

    @Override
    public SplitEnumerator<LogSplit, LogState> createEnumerator(SplitEnumeratorContext<LogSplit> context) {
        return new LogEnumerator(context, stream, archive, null);
    }

    @Override
    public SplitEnumerator<LogSplit, LogState> restoreEnumerator(
            SplitEnumeratorContext<LogSplit> context, LogState restored) {
        return new LogEnumerator(context, stream, archive, restored);
    }

    @Override
    public SimpleVersionedSerializer<LogSplit> getSplitSerializer() {
        return new LogSerializers(stream).splits();
    }

    @Override
    public SimpleVersionedSerializer<LogState> getEnumeratorCheckpointSerializer() {
        return new LogSerializers(stream).states();
    }

    @Override
    public SourceReader<Event, LogSplit> createReader(SourceReaderContext context) throws Exception {
        return createReader(context, ArchiveReader::ownThread);
    }

    /** Files of the archive are looked for by such a thread. */
    SourceReader<Event, LogSplit> createReader(SourceReaderContext context, Supplier<ScheduledExecutorService> looking)
            throws Exception {
        boolean readsStream = archive == null || archive.goesOnWithTheStream();
        return new LogReader(
                context,
                readsStream ? stream.createReader(context) : null,
                archive == null
                        ? null
                        : new ArchiveReader(archive, decoder.opened(), hasCheckpoints, context, looking.get()));
    }

    @Override
    public TypeInformation<Event> getProducedType() {
        return Event.type();
    }
}
