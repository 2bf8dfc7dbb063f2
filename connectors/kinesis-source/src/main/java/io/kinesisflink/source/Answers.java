package io.kinesisflink.source;

import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** Brings the answers of a client into the subtask's thread. */
final class Answers {

    private Answers() {}

    /** Makes a request, and has the subtask's thread do one of the two with what comes of it. */
    static <R> void to(
            Loop loop, Supplier<CompletableFuture<R>> request, Consumer<R> then, Consumer<Throwable> otherwise) {
        CompletableFuture<R> asked;
        try {
            asked = request.get();
        } catch (RuntimeException e) {
            asked = CompletableFuture.failedFuture(e);
        }
        asked.whenComplete((answer, failure) -> loop.run(() -> {
            if (failure == null) {
                then.accept(answer);
            } else {
                otherwise.accept(failure);
            }
        }));
    }
}
