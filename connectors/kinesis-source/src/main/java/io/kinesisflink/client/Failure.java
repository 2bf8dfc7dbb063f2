package io.kinesisflink.client;

import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.services.kinesis.model.ExpiredIteratorException;
import software.amazon.awssdk.services.kinesis.model.KmsThrottlingException;
import software.amazon.awssdk.services.kinesis.model.LimitExceededException;
import software.amazon.awssdk.services.kinesis.model.ProvisionedThroughputExceededException;
import software.amazon.awssdk.services.kinesis.model.ResourceInUseException;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;

/** What it means that a request failed. */
public enum Failure {
    /** Too many were made, by whoever reads or writes the stream. */
    THROTTLED,
    /** The iterator is older than five minutes. */
    EXPIRED_ITERATOR,
    /** The stream, shard or consumer is not there. */
    NOT_FOUND,
    /** The same request would be refused again. */
    REFUSED,
    /** It may succeed later. */
    PASSING;

    private static final int TIMED_OUT = 408;
    private static final int TOO_MANY = 429;

    public static Failure of(Throwable thrown) {
        Throwable cause = causeOf(thrown);
        if (cause instanceof ProvisionedThroughputExceededException
                || cause instanceof LimitExceededException
                || cause instanceof KmsThrottlingException) {
            return THROTTLED;
        }
        if (cause instanceof ExpiredIteratorException) {
            return EXPIRED_ITERATOR;
        }
        if (cause instanceof ResourceNotFoundException) {
            return NOT_FOUND;
        }
        if (cause instanceof AwsServiceException said && !(cause instanceof ResourceInUseException)) {
            return ofAnswer(said);
        }
        return PASSING;
    }

    private static Failure ofAnswer(AwsServiceException said) {
        if (said.isThrottlingException()) {
            return THROTTLED;
        }
        int status = said.statusCode();
        boolean isRefusal = status >= 400 && status < 500 && status != TIMED_OUT && status != TOO_MANY;
        return isRefusal && !said.isClockSkewException() ? REFUSED : PASSING;
    }

    /** Of the error code that the answer to PutRecords has for one record. What is not known may pass. */
    public static Failure ofCode(String code) {
        return switch (code) {
            case "ProvisionedThroughputExceededException",
                    "LimitExceededException",
                    "ThrottlingException",
                    "KMSThrottlingException" -> THROTTLED;
            case "ResourceNotFoundException" -> NOT_FOUND;
            case "AccessDeniedException",
                    "InvalidArgumentException",
                    "ValidationException",
                    "KMSAccessDeniedException",
                    "KMSDisabledException",
                    "KMSInvalidStateException",
                    "KMSNotFoundException",
                    "KMSOptInRequired" -> REFUSED;
            default -> PASSING;
        };
    }

    /** Without what futures wrap around it. */
    public static Throwable causeOf(Throwable thrown) {
        Throwable cause = thrown;
        while ((cause instanceof CompletionException || cause instanceof ExecutionException)
                && cause.getCause() != null) {
            cause = cause.getCause();
        }
        return cause;
    }

    public boolean isRefusal() {
        return this == NOT_FOUND || this == REFUSED;
    }
}
