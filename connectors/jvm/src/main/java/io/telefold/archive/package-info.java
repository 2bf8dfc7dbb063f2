/** Writes records to the archive, and reads them back in the order of their shards. */
package io.telefold.archive;
