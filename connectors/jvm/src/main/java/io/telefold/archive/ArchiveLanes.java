package io.telefold.archive;

import io.telefold.event.SequenceOrder;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.LocalDate;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.core.fs.FileStatus;
import org.apache.flink.core.fs.Path;

/**
 * Finds the finished files of an archive, shard by shard. What begins with "." or "_" is unfinished and left alone, as
 * is everything that is not in the folders of {@link ArchiveSink}.
 */
public final class ArchiveLanes {

    /** A store of objects answers slowly but many questions at once. */
    private static final int THREADS = 16;

    private static final long HOURS_OF_DAY = 24;

    private final Path root;
    private final long sinceMs;
    private final long untilMs;
    private final Predicate<String> shards;
    private final Set<Path> known = new HashSet<>();

    /** Leaves out the hours that end by {@code sinceMs} or begin at {@code untilMs} or later, in epoch milliseconds. */
    public ArchiveLanes(String path, long sinceMs, long untilMs, Predicate<String> shards) {
        this.root = new Path(path);
        this.sinceMs = sinceMs;
        this.untilMs = untilMs;
        this.shards = shards;
    }

    /** By shard, in the order of their first records, the files that no call returned before. */
    public SortedMap<String, List<ArchiveFile>> newFiles() throws IOException, InterruptedException {
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try {
            List<Folder> hours = each(threads, days(), this::hours);
            List<Found> found = each(threads, each(threads, hours, this::shards), this::files);
            found.removeIf(file -> !known.add(file.path));
            return each(threads, found, ArchiveLanes::withFirst).stream()
                    .sorted(Comparator.comparing(file -> file.first, SequenceOrder.INSTANCE))
                    .collect(Collectors.groupingBy(file -> file.shard, TreeMap::new, Collectors.toList()));
        } finally {
            threads.shutdownNow();
        }
    }

    private List<Folder> days() throws IOException {
        List<Folder> days = new ArrayList<>();
        for (FileStatus child : children(root)) {
            Long day = epochDay(value(child, "day="));
            if (day != null && overlaps(day * HOURS_OF_DAY, HOURS_OF_DAY)) {
                days.add(new Folder(child.getPath(), day * HOURS_OF_DAY, null));
            }
        }
        return days;
    }

    private List<Folder> hours(Folder day) throws IOException {
        List<Folder> hours = new ArrayList<>();
        for (FileStatus child : children(day.path)) {
            String text = value(child, "hour=");
            if (text != null && text.matches("[01][0-9]|2[0-3]")) {
                long hour = day.hour + Long.parseLong(text);
                if (overlaps(hour, 1)) {
                    hours.add(new Folder(child.getPath(), hour, null));
                }
            }
        }
        return hours;
    }

    private List<Folder> shards(Folder hour) throws IOException {
        return Stream.of(children(hour.path))
                .filter(child -> value(child, "shard=") != null)
                .map(child -> new Folder(child.getPath(), hour.hour, value(child, "shard=")))
                .filter(folder -> shards.test(folder.shard))
                .collect(Collectors.toList());
    }

    private List<Found> files(Folder shard) throws IOException {
        return Stream.of(children(shard.path))
                .filter(child -> !child.isDir() && !child.getPath().getName().matches("[._].*"))
                .map(child -> new Found(child.getPath(), shard, child.getLen()))
                .collect(Collectors.toList());
    }

    private static List<ArchiveFile> withFirst(Found file) throws IOException {
        try (ArchiveFileReader reader = new ArchiveFileReader(file.path, file.bytes)) {
            return reader.next()
                    ? List.of(new ArchiveFile(
                            file.path, file.folder.shard, file.folder.hour, file.bytes, reader.position()))
                    : List.of();
        }
    }

    private boolean overlaps(long hour, long hours) {
        return hour * ArchiveFile.HOUR_MS < untilMs && (hour + hours) * ArchiveFile.HOUR_MS > sinceMs;
    }

    /** What follows {@code key} in the name of a folder, or null. */
    private static String value(FileStatus child, String key) {
        String name = child.getPath().getName();
        return child.isDir() && name.startsWith(key) ? name.substring(key.length()) : null;
    }

    private static Long epochDay(String date) {
        try {
            return date == null ? null : LocalDate.parse(date).toEpochDay();
        } catch (DateTimeParseException e) {
            return null;
        }
    }

    /** Nothing for a folder that is not there: an archive is empty before its first file is finished. */
    private static FileStatus[] children(Path folder) throws IOException {
        try {
            return Objects.requireNonNullElse(folder.getFileSystem().listStatus(folder), new FileStatus[0]);
        } catch (FileNotFoundException e) {
            return new FileStatus[0];
        }
    }

    private static <A, B> List<B> each(ExecutorService threads, List<A> items, Step<A, B> step)
            throws IOException, InterruptedException {
        List<Callable<List<B>>> calls = new ArrayList<>();
        items.forEach(item -> calls.add(() -> step.apply(item)));
        List<B> results = new ArrayList<>();
        for (Future<List<B>> call : threads.invokeAll(calls)) {
            try {
                results.addAll(call.get());
            } catch (ExecutionException e) {
                throw new IOException(e.getCause().getMessage(), e.getCause());
            }
        }
        return results;
    }

    private interface Step<A, B> {
        List<B> apply(A item) throws IOException;
    }

    private static final class Folder {

        private final Path path;
        private final long hour;
        private final String shard;

        Folder(Path path, long hour, String shard) {
            this.path = path;
            this.hour = hour;
            this.shard = shard;
        }
    }

    private static final class Found {

        private final Path path;
        private final Folder folder;
        private final long bytes;

        Found(Path path, Folder folder, long bytes) {
            this.path = path;
            this.folder = folder;
            this.bytes = bytes;
        }
    }
}
