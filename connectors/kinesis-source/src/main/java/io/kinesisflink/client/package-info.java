/** What source and sink share of the client of Kinesis. It is public for them alone, and may change with each release. */
package io.kinesisflink.client;
