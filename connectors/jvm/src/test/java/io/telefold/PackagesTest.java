package io.telefold;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class PackagesTest {

    private static final Path SOURCES = Path.of("src/main/java/io/telefold");
    private static final Pattern IMPORT =
            Pattern.compile("^import (?:static )?io\\.telefold\\.((?:[a-z]\\w*\\.)*)[A-Z]", Pattern.MULTILINE);

    @Test
    void useEachOtherWithoutACircle() throws IOException {
        Map<String, Set<String>> uses = uses();
        assertThat(uses).hasSizeGreaterThan(10);
        while (uses.values().removeIf(Set::isEmpty)) {
            uses.values().forEach(each -> each.retainAll(uses.keySet()));
        }
        assertThat(uses).as("packages that use each other in a circle").isEmpty();
    }

    @Test
    void eachSaysWhatItHolds() throws IOException {
        assertThat(uses().keySet())
                .allMatch(each -> Files.exists(SOURCES.resolve(each).resolve("package-info.java")));
    }

    /** Which packages each one imports from, by their folders below {@link #SOURCES}. */
    private static Map<String, Set<String>> uses() throws IOException {
        Map<String, Set<String>> uses = new TreeMap<>();
        try (Stream<Path> found = Files.walk(SOURCES)) {
            for (Path file : found.filter(Files::isRegularFile).collect(Collectors.toList())) {
                String own = SOURCES.relativize(file.getParent()).toString();
                Set<String> used = uses.computeIfAbsent(own, name -> new TreeSet<>());
                Matcher imports = IMPORT.matcher(Files.readString(file));
                while (imports.find()) {
                    used.add(imports.group(1).replaceAll("\\.$", "").replace('.', '/'));
                }
                used.remove(own);
            }
        }
        return uses;
    }
}
