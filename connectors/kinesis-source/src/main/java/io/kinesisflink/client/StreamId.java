package io.kinesisflink.client;

/** Which of both a text is that stands for a stream or a consumer, its name or its ARN. */
public final class StreamId {

    private static final int ARN_PARTS = 6;

    private StreamId() {}

    public static boolean isArn(String text) {
        return text.startsWith("arn:") && text.split(":").length >= ARN_PARTS;
    }

    /** The name as requests take it; null for an ARN. */
    public static String nameOf(String nameOrArn) {
        return isArn(nameOrArn) ? null : nameOrArn;
    }

    /** The ARN as requests take it; null for a name. */
    public static String arnOf(String nameOrArn) {
        return isArn(nameOrArn) ? nameOrArn : null;
    }
}
