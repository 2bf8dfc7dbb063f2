/** Reads events from Kinesis, shard after shard in the order of their lineage, and before them what the archive has. */
package io.telefold.source;
