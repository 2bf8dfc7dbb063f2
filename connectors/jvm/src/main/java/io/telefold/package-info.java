/** The JVM edge of Telefold. Here is what every package below uses; none of them uses its neighbours in a circle. */
package io.telefold;
