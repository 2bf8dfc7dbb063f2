/**
 * Folds the events of each device into its windows and latest readings: what is remembered of a device, which events
 * count, and when their rows are due.
 */
package io.telefold.fold;
