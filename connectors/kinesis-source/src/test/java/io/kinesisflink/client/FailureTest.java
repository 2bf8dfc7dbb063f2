package io.kinesisflink.client;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FailureTest {

    @Test
    void anErrorCodeOfARecordSaysWhatToDo() {
        Map<Failure, List<String>> codes = Map.of(
                Failure.THROTTLED, List.of("ProvisionedThroughputExceededException", "KMSThrottlingException"),
                Failure.NOT_FOUND, List.of("ResourceNotFoundException"),
                Failure.REFUSED, List.of("AccessDeniedException", "ValidationException", "KMSDisabledException"),
                Failure.PASSING, List.of("InternalFailure", "ServiceUnavailable", "", "Whatever"));
        codes.forEach(
                (failure, all) -> assertThat(all).extracting(Failure::ofCode).containsOnly(failure));
    }

    @Test
    void theTimeBetweenTriesDoublesUpToTenSeconds() {
        long[] least = {250, 500, 1_000, 2_000, 4_000, 5_000, 5_000};
        for (int failures = 0; failures < least.length; failures++) {
            assertThat(Retries.delayMs(failures, 0)).isEqualTo(least[failures]);
            assertThat(Retries.delayMs(failures, 1)).isEqualTo(2 * least[failures]);
        }
        assertThat(Retries.delayMs(Integer.MAX_VALUE, 1)).isEqualTo(10_000);
    }
}
