package io.telefold.archive;

import org.apache.flink.core.fs.Path;

/** One finished file of the archive that holds at least one record. */
public final class ArchiveFile {

    static final long HOUR_MS = 3_600_000;

    final Path path;
    final String shard;

    /** Of the arrivals in it, counted from the epoch. */
    final long hour;

    public final long bytes;

    /** The position of its first record. */
    public final String first;

    ArchiveFile(Path path, String shard, long hour, long bytes, String first) {
        this.path = path;
        this.shard = shard;
        this.hour = hour;
        this.bytes = bytes;
        this.first = first;
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
