/** Operators that hold rows back and send them on together, before every checkpoint and at intervals. */
package io.telefold.batch;
