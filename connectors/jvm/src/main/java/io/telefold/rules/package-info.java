/** Brings rules that change while the job runs to the devices that they are about. */
package io.telefold.rules;
