/** Rolls the readings of devices up by groups: first in each task, then for each group as a whole. */
package io.telefold.groups;
