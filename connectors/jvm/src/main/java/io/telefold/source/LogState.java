package io.telefold.source;

import io.kinesisflink.source.EnumeratorState;
import io.kinesisflink.source.ShardPosition;
import java.util.List;
import java.util.Map;

/**
 * What the enumerator knows over a restart.
 *
 * @param isWithinArchive whether the archive may not have been read to its end
 * @param pending splits that no subtask has; of the stream only while it is not decided where reading goes on
 * @param behind how far each shard had been read before it was decided where reading goes on, and the ends of all that
 *     ended since: the stream's own state forgets shards that expired, of which the archive may still be there
 * @param stream of the source of the stream; null while it has not begun
 */
public record LogState(
        boolean isWithinArchive, List<LogSplit> pending, Map<String, ShardPosition> behind, EnumeratorState stream) {}
