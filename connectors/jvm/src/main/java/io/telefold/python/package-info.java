/**
 * The borders of folds in Python: the lines they are given, the operator that runs them, and the parts that their
 * output is taken to.
 */
package io.telefold.python;
