/** Counts every record that comes in, and parts valid events from rejected records. */
package io.telefold.intake;
