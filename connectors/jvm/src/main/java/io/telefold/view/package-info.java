/** Rows of views: the windows and values that they show, and the lines of JSON that they leave as. */
package io.telefold.view;
