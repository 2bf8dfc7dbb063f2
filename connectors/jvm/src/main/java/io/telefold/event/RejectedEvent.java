package io.telefold.event;

/** A record that is not a valid event; the message is one sentence for whoever reads the dead letters. */
final class RejectedEvent extends Exception {

    private static final long serialVersionUID = 1L;

    final Reason reason;

    /** Without a stack trace: a stream of poison must not cost more than a stream of events. */
    RejectedEvent(Reason reason, String detail) {
        super(detail, null, false, false);
        this.reason = reason;
    }
}
