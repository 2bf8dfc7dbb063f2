package io.telefold.view;

/** The stores that a row or an item is for. */
public enum Destination {
    BOTH("both"),

    /** The fast store, at once; the durable one is given it when it is due. */
    FAST("fast"),

    /** The durable store, which is given what the fast one has had. */
    DURABLE("durable");

    /** As {@code schemas.view_rows.ViewUpdate.to} has it. */
    final String name;

    Destination(String name) {
        this.name = name;
    }
}
