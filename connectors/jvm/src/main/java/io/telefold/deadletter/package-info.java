/** Writes what was rejected, with its reason, to the stream of dead letters. */
package io.telefold.deadletter;
