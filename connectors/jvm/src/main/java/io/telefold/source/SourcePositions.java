package io.telefold.source;

import io.telefold.event.SequenceOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.OperatorStateStore;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.connectors.kinesis.model.SequenceNumber;
import org.apache.flink.streaming.connectors.kinesis.model.StreamShardMetadata;
import org.apache.flink.streaming.connectors.kinesis.util.KinesisStateUtil;

/**
 * What an {@link EventSource} knows over a restart of how far each shard was read.
 *
 * <p>There are two union list states: "archive-positions" of (shard, position), which holds something only while
 * the archive is read, and that of Flink's consumer. A shard has been read up to the greater of the two. All subtasks
 * see all positions, and each writes those of its own shards.
 */
final class SourcePositions {

    /** As in FlinkKinesisConsumer, where it is private and cannot change. */
    static final String STREAM_STATE = "Kinesis-Stream-Shard-State";

    static final String ARCHIVE_STATE = "archive-positions";

    private final String stream;
    private final Predicate<String> isMine;
    private final ListState<Tuple2<StreamShardMetadata, SequenceNumber>> streamState;
    private final ListState<Tuple2<String, String>> archiveState;
    private final List<Tuple2<StreamShardMetadata, SequenceNumber>> restored = new ArrayList<>();
    private final List<Tuple2<StreamShardMetadata, SequenceNumber>> takeovers = new ArrayList<>();
    private final Map<String, String> reached = new HashMap<>();

    SourcePositions(String stream, OperatorStateStore store, ExecutionConfig config, Predicate<String> isMine)
            throws Exception {
        this.stream = stream;
        this.isMine = isMine;
        streamState = store.getUnionListState(
                new ListStateDescriptor<>(STREAM_STATE, KinesisStateUtil.createShardsStateSerializer(config)));
        archiveState = store.getUnionListState(
                new ListStateDescriptor<>(ARCHIVE_STATE, Types.TUPLE(Types.STRING, Types.STRING)));
        for (Tuple2<StreamShardMetadata, SequenceNumber> shard : streamState.get()) {
            restored.add(shard);
            if (isOfStream(shard)) {
                reach(shard.f0.getShardId(), SequenceOrder.positionOf(shard.f1));
            }
        }
        for (Tuple2<String, String> shard : archiveState.get()) {
            reach(shard.f0, shard.f1);
        }
    }

    /** The last record read of a shard, null if there is none. */
    String reached(String shard) {
        return reached.get(shard);
    }

    /** Raises the position of a shard. To be called under the checkpoint lock once it runs. */
    void reach(String shard, String position) {
        if (position != null) {
            reached.merge(shard, position, SequenceOrder::greater);
        }
    }

    /** The stream may not hold what the archive does: to go on with it alone might leave records out. */
    void checkNoArchive() throws Exception {
        if (archiveState.get().iterator().hasNext()) {
            throw new IllegalStateException("The checkpoint was taken before its job had read the archive to the end;"
                    + " start the job with the archive again, or without the checkpoint");
        }
    }

    /** Makes Flink's consumer begin behind what was read already and behind {@code ends}, whichever is further. */
    void startStreamBehind(Map<String, String> ends) throws Exception {
        Map<String, String> starts = new HashMap<>(reached);
        ends.forEach((shard, end) -> starts.merge(shard, end, SequenceOrder::greater));
        for (Tuple2<StreamShardMetadata, SequenceNumber> shard : restored) {
            String start = isOfStream(shard) ? starts.get(shard.f0.getShardId()) : null;
            boolean further = SequenceOrder.isAfter(start, SequenceOrder.positionOf(shard.f1));
            takeovers.add(further ? Tuple2.of(shard.f0, SequenceOrder.stateOf(start)) : shard);
        }
        restored.stream().filter(this::isOfStream).forEach(shard -> starts.remove(shard.f0.getShardId()));
        starts.forEach((shard, start) -> takeovers.add(Tuple2.of(metadata(shard), SequenceOrder.stateOf(start))));
        streamState.update(takeovers);
    }

    /** Where Flink's consumer begins, by shard, if it is restored: all subtasks' shards. */
    Map<String, String> starts() {
        Map<String, String> starts = new HashMap<>();
        for (Tuple2<StreamShardMetadata, SequenceNumber> shard : takeovers.isEmpty() ? restored : takeovers) {
            if (isOfStream(shard)) {
                starts.put(shard.f0.getShardId(), shard.f1.getSequenceNumber());
            }
        }
        return starts;
    }

    /** Leaves the stream's positions to the archive's. */
    void leaveStream() {
        restored.clear();
        streamState.clear();
    }

    /** Writes how far the archive was read; of the stream, only what was restored. */
    void snapshotWithinArchive() throws Exception {
        streamState.update(mine(restored));
        List<Tuple2<String, String>> positions = new ArrayList<>();
        reached.forEach((shard, position) -> {
            if (isMine.test(shard)) {
                positions.add(Tuple2.of(shard, position));
            }
        });
        archiveState.update(positions);
    }

    /** Adds the archive's ends of shards that the stream has no more to what Flink's consumer wrote. */
    void completeStreamSnapshot() throws Exception {
        Set<String> written = new HashSet<>();
        streamState.get().forEach(shard -> written.add(key(shard)));
        for (Tuple2<StreamShardMetadata, SequenceNumber> shard : mine(takeovers)) {
            if (!written.contains(key(shard))) {
                streamState.add(shard);
            }
        }
        archiveState.clear();
    }

    private List<Tuple2<StreamShardMetadata, SequenceNumber>> mine(
            List<Tuple2<StreamShardMetadata, SequenceNumber>> shards) {
        List<Tuple2<StreamShardMetadata, SequenceNumber>> mine = new ArrayList<>(shards);
        mine.removeIf(shard -> !isMine.test(shard.f0.getShardId()));
        return mine;
    }

    private boolean isOfStream(Tuple2<StreamShardMetadata, SequenceNumber> shard) {
        return shard.f0.getStreamName().equals(stream);
    }

    private static String key(Tuple2<StreamShardMetadata, SequenceNumber> shard) {
        return shard.f0.getStreamName() + "/" + shard.f0.getShardId();
    }

    private StreamShardMetadata metadata(String shard) {
        StreamShardMetadata metadata = new StreamShardMetadata();
        metadata.setStreamName(stream);
        metadata.setShardId(shard);
        return metadata;
    }
}
