package io.telefold.archive;

import static io.telefold.archive.Archive.behind;
import static io.telefold.archive.Archive.event;
import static io.telefold.archive.Archive.placed;
import static io.telefold.event.Events.T;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ArchiveLanesTest {

    private static final long HOUR = 3_600_000;

    @TempDir
    Path folder;

    private Archive archive;

    @BeforeEach
    void create() {
        archive = new Archive(folder);
    }

    @Test
    void aLaneIsInTheOrderOfSequenceNumbersWhateverItsFilesAreCalled() throws Exception {
        archive.write("s", "part-a.avro", event("d", 10, T), event("d", 11, T));
        archive.write("s", "part-b.avro", event("d", 8, T), event("d", 9, T));
        archive.write("s", "part-0.avro", event("d", 100, T + HOUR));
        archive.write("other", "part-c.avro", event("d", 1, T));
        assertThat(lanes().newFiles().keySet()).containsExactly("other", "s");
        assertThat(read(null, null)).containsExactly(8L, 9L, 10L, 11L, 100L);
    }

    @Test
    void recordsThatAnArrivalPutIntoTheHourBeforeComeInTheirPlace() throws Exception {
        archive.write("s", "part-a.avro", event("d", 1, T), event("d", 3, T), event("d", 6, T));
        archive.write("s", "part-b.avro", event("d", 2, T + HOUR), event("d", 4, T + HOUR), event("d", 5, T + HOUR));
        assertThat(read(null, null)).containsExactly(1L, 2L, 3L, 4L, 5L, 6L);
        for (int start = 1; start <= 6; start++) {
            List<Long> rest = new ArrayList<>(List.of(1L, 2L, 3L, 4L, 5L, 6L)).subList(start, 6);
            assertThat(read("" + start, null)).containsExactlyElementsOf(rest);
        }
    }

    @Test
    void aRecordInTwoFilesComesOnce() throws Exception {
        archive.write("s", "part-a.avro", event("d", 1, T), event("d", 2, T), event("d", 3, T));
        archive.write("s", "part-b.avro", event("d", 1, T), event("d", 2, T), event("d", 4, T));
        archive.write("s", "part-c.avro", event("d", 3, T), event("d", 5, T));
        assertThat(read(null, null)).containsExactly(1L, 2L, 3L, 4L, 5L);
        assertThat(read("2", "4")).containsExactly(3L, 4L);
    }

    @Test
    void recordsOfOneFileThatShareASequenceNumberAllCome() throws Exception {
        archive.write("s", "part-a.avro", event("d", 1, T), event("d", 2, T), event("d", 2, T), event("d", 3, T));
        archive.write("s", "part-b.avro", event("d", 2, T + HOUR), event("d", 4, T + HOUR));
        assertThat(read(null, null)).containsExactly(1L, 2L, 2L, 3L, 4L);
    }

    @Test
    void aLaneBeginsBehindItsStartAndEndsWithItsEnd() throws Exception {
        for (int file = 0; file < 4; file++) {
            int first = file * 10;
            long arrival = T + file / 2 * HOUR;
            archive.write("s", "part-" + file, event("d", first + 1, arrival), event("d", first + 5, arrival));
        }
        assertThat(read(null, "11")).containsExactly(1L, 5L, 11L);
        assertThat(read("5", "25")).containsExactly(11L, 15L, 21L, 25L);
        assertThat(read("15", null)).containsExactly(21L, 25L, 31L, 35L);
        assertThat(read("35", null)).isEmpty();
        assertThat(read("99", "99")).isEmpty();
    }

    @Test
    void skipsFilesOfHoursThatWereReadUnopened() throws Exception {
        Path old = archive.write("s", "part-a", event("d", 1, T), event("d", 2, T));
        archive.write("s", "part-b", event("d", 3, T + 2 * HOUR), event("d", 4, T + 2 * HOUR));
        List<ArchiveFile> files = lanes().newFiles().get("s");
        Files.delete(old);
        try (ArchiveLane lane = new ArchiveLane("s", "3", null, hole -> {})) {
            lane.add(files);
            assertThat(lane.next()).isTrue();
            assertThat(lane.record().position()).isEqualTo("4");
        }
    }

    @Test
    void goesOnInTheLongerOfTwoFilesThatBeginAlike() throws Exception {
        archive.write("s", "part-a", event("d", 1, T), event("d", 2, T), event("d", 3, T));
        archive.write("s", "part-b", event("d", 1, T), event("d", 2, T));
        assertThat(read("1", null)).containsExactly(2L, 3L);
    }

    @Test
    void aLaneKnowsWhetherItHoldsAllUpToItsEnd() throws Exception {
        archive.write("s", "part-a", event("d", 1, T), event("d", 5, T));
        archive.write("s", "part-b", event("d", 7, T), event("d", 9, T));
        for (Map.Entry<String, Boolean> end :
                Map.of("5", true, "6", true, "8", true, "9", true, "10", false).entrySet()) {
            try (ArchiveLane lane = new ArchiveLane("s", null, end.getKey(), hole -> {})) {
                drain(lane);
                assertThat(lane.isComplete()).as(end.getKey()).isEqualTo(end.getValue());
            }
        }
        assertThat(new ArchiveLane("s", "12", "10", hole -> {}).isComplete()).isTrue();
        assertThat(new ArchiveLane("s", null, "10", hole -> {}).isComplete()).isFalse();
    }

    @Test
    void countsTheBytesOfFilesNotReadToTheEnd() throws Exception {
        long first = Files.size(archive.write("s", "part-a", event("d", 1, T)));
        long second = Files.size(archive.write("s", "part-b", event("d", 2, T), event("d", 3, T)));
        try (ArchiveLane lane = new ArchiveLane("s", null, null, hole -> {})) {
            lane.add(lanes().newFiles().get("s"));
            assertThat(lane.bytesLeft()).isEqualTo(first + second);
            lane.next();
            lane.next();
            assertThat(lane.bytesLeft()).isEqualTo(second);
            lane.next();
            lane.next();
            assertThat(lane.bytesLeft()).isZero();
            assertThat(lane.bytes()).isEqualTo(first + second);
        }
    }

    @Test
    void ignoresWhatIsUnfinishedOrNoPartOfTheArchive() throws Exception {
        archive.write("s", "part-a", event("d", 1, T));
        archive.write("s", ".part-b.inprogress", event("d", 2, T));
        archive.write("s", "_part-c", event("d", 3, T));
        archive.write("day=never/hour=08", "s", "part-d", event("d", 4, T));
        archive.write("day=2025-10-09/hour=24", "s", "part-e", event("d", 5, T));
        Files.writeString(folder.resolve("README"), "an archive");
        assertThat(read(null, null)).containsExactly(1L);
    }

    @Test
    void leavesOutHoursThatDoNotOverlapTheTimeAskedFor() throws Exception {
        archive.write("day=2025-10-08/hour=23", "s", "part-a", event("d", 1, T));
        archive.write("day=2025-10-09/hour=00", "s", "part-b", event("d", 2, T));
        archive.write("day=2025-10-09/hour=01", "s", "part-c", event("d", 3, T));
        archive.write("day=2025-10-10/hour=00", "s", "part-d", event("d", 4, T));
        long midnight = 1_759_968_000_000L;
        assertThat(firsts(midnight, midnight + 1)).containsExactly("2");
        assertThat(firsts(midnight - 1, midnight + HOUR)).containsExactly("1", "2");
        assertThat(firsts(midnight + HOUR - 1, midnight + 24 * HOUR)).containsExactly("2", "3");
        assertThat(firsts(midnight + HOUR, midnight + 24 * HOUR + 1)).containsExactly("3", "4");
    }

    @Test
    void findsEachFileOnce() throws Exception {
        ArchiveLanes lanes = lanes();
        assertThat(lanes.newFiles()).isEmpty();
        archive.write("s", "part-a", event("d", 1, T));
        assertThat(lanes.newFiles().get("s")).hasSize(1);
        archive.write("s", "part-b", event("d", 2, T));
        assertThat(lanes.newFiles().get("s")).extracting(file -> file.first).containsExactly("2");
        assertThat(lanes.newFiles()).isEmpty();
    }

    @Test
    void namesAFileThatIsCorruptOrCutShort() throws Exception {
        GenericRecord[] records = new GenericRecord[5_000];
        for (int i = 0; i < records.length; i++) {
            records[i] = event("d", i + 1, T);
        }
        Path file = archive.write("s", "part-a", records);
        byte[] whole = Files.readAllBytes(file);
        byte[] broken = whole.clone();
        Arrays.fill(broken, whole.length / 2, whole.length / 2 + 70_000, (byte) 0xFF);
        for (byte[] content : List.of(
                broken, Arrays.copyOf(whole, whole.length - 1), Arrays.copyOf(whole, whole.length / 2), new byte[0])) {
            Files.write(file, content);
            assertThatThrownBy(() -> read(null, null))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining(file.toString());
        }
    }

    @Test
    void refusesAFileThatTurnsUpBehindWhatWasRead() throws Exception {
        ArchiveLanes lanes = lanes();
        archive.write("s", "part-b", event("d", 3, T));
        try (ArchiveLane lane = new ArchiveLane("s", null, null, hole -> {})) {
            lane.add(lanes.newFiles().get("s"));
            assertThat(rest(lane)).containsExactly(3L);
            Path late = archive.write("s", "part-a", event("d", 2, T));
            assertThatThrownBy(() -> lane.add(lanes.newFiles().get("s")))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining(late.toString());
        }
    }

    @Test
    void aFileThatIsNotThereIsAHole() throws Exception {
        List<Path> files = List.of(
                archive.write("s", "part-a", behind(null, event("d", 1, T)), behind("1", event("d", 2, T))),
                archive.write("s", "part-b", behind("2", event("d", 3, T)), behind("3", event("d", 5, T))),
                archive.write("s", "part-c", behind("5", event("d", 6, T)), behind("6", event("d", 9, T))));
        assertThat(holes(null, null)).isEmpty();
        List<String> expected =
                List.of("of s from its first record up to 2", "of s from behind 2 up to 5", "the last one is the end");
        for (int gone = 0; gone < files.size(); gone++) {
            byte[] content = Files.readAllBytes(files.get(gone));
            Files.delete(files.get(gone));
            assertThat(holes(null, null)).isEqualTo(gone == 2 ? List.of() : expected.subList(gone, gone + 1));
            Files.write(files.get(gone), content);
        }
        Files.delete(files.get(0));
        Files.delete(files.get(1));
        assertThat(holes(null, null)).containsExactly("of s from its first record up to 5");
        assertThat(holes("5", null)).isEmpty();
        assertThat(holes("4", null)).containsExactly("of s from behind 4 up to 5");
    }

    @Test
    void recordsOfFilesThatInterleaveAreMissedOneByOne() throws Exception {
        archive.write("s", "part-a", behind(null, event("d", 1, T)), behind("2", event("d", 3, T)));
        long later = T + HOUR;
        Path other = archive.write("s", "part-b", behind("1", event("d", 2, later)), behind("3", event("d", 4, later)));
        assertThat(holes(null, null)).isEmpty();
        Files.delete(other);
        assertThat(holes(null, null)).containsExactly("of s from behind 1 up to 2");
    }

    @Test
    void filesThatOverlapAndFilesOfEarlierBuildsAreNoHole() throws Exception {
        archive.write("s", "part-a", behind(null, event("d", 1, T)), behind("1", event("d", 2, T)));
        archive.write("s", "part-b", behind("1", event("d", 2, T)), behind("2", event("d", 3, T)));
        archive.write("s", "part-c", event("d", 7, T));
        assertThat(holes(null, null)).isEmpty();
    }

    @Test
    void aShardThatBeginsAnewBehindOtherRecordsIsAHole() throws Exception {
        archive.write("s", "part-a", behind(null, event("d", 1, T)));
        archive.write("s", "part-b", behind(null, event("d", 4, T)));
        assertThat(holes(null, null)).containsExactly("of s from behind 1 before 4");
    }

    @Test
    void recordsOfOneAggregateInTwoFilesAllComeOnce() throws Exception {
        archive.write("s", "part-a", placed(null, 0L, event("d", 2, T)), placed("2:0", 1L, event("d", 2, T)));
        archive.write("s", "part-b", placed("2:0", 1L, event("d", 2, T)), placed("2:1", 10L, event("d", 2, T)));
        archive.write("s", "part-c", placed("2:10", 11L, event("d", 2, T)), behind("2:11", event("d", 3, T)));
        assertThat(positions(null, null)).containsExactly("2:0", "2:1", "2:10", "2:11", "3");
        assertThat(positions("2:1", "2:11")).containsExactly("2:10", "2:11");
        assertThat(holes(null, null)).isEmpty();
    }

    private List<String> holes(String start, String end) throws Exception {
        List<String> holes = new ArrayList<>();
        try (ArchiveLane lane = new ArchiveLane("s", start, end, holes::add)) {
            drain(lane);
        }
        return holes;
    }

    private List<String> positions(String start, String end) throws Exception {
        List<String> positions = new ArrayList<>();
        try (ArchiveLane lane = new ArchiveLane("s", start, end, hole -> {})) {
            lane.add(lanes().newFiles().get("s"));
            while (lane.next()) {
                positions.add(lane.record().position());
            }
        }
        return positions;
    }

    private ArchiveLanes lanes() {
        return new ArchiveLanes(archive.toString(), Long.MIN_VALUE, Long.MAX_VALUE, shard -> true);
    }

    private List<Long> read(String start, String end) throws Exception {
        try (ArchiveLane lane = new ArchiveLane("s", start, end, hole -> {})) {
            return drain(lane);
        }
    }

    private List<Long> drain(ArchiveLane lane) throws Exception {
        lane.add(lanes().newFiles().get("s"));
        return rest(lane);
    }

    private static List<Long> rest(ArchiveLane lane) throws IOException {
        List<Long> numbers = new ArrayList<>();
        while (lane.next()) {
            numbers.add(Long.parseLong(lane.record().sequenceNumber()));
        }
        return numbers;
    }

    private List<String> firsts(long sinceMs, long untilMs) throws Exception {
        List<String> firsts = new ArrayList<>();
        new ArchiveLanes(archive.toString(), sinceMs, untilMs, shard -> true)
                .newFiles()
                .values()
                .forEach(files -> files.forEach(file -> firsts.add(file.first)));
        return firsts;
    }
}
