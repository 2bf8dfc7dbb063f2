/**
 * An event as it travels through the job: how a record of the log is decoded, checked and written between tasks, and
 * the order of positions in the log.
 */
package io.telefold.event;
