package io.telefold.view;

import java.math.BigDecimal;
import java.math.MathContext;

/** Numbers with as many digits as they are worth: the last ones of a sum are those of how it was reckoned. */
final class Digits {

    /** Powers of ten up to this are exact. */
    private static final int MAX_EXACT_POWER = 22;

    private static final double[] POWERS = new double[MAX_EXACT_POWER + 1];

    static {
        for (int power = 0; power <= MAX_EXACT_POWER; power++) {
            POWERS[power] = Double.parseDouble("1e" + power);
        }
    }

    private Digits() {}

    /** A whole number as it is, any other to so many significant digits. */
    static double rounded(double number, int digits) {
        if (number == Math.rint(number)) {
            return number;
        }
        int decimals = digits - 1 - (int) Math.floor(Math.log10(Math.abs(number)));
        if (decimals > MAX_EXACT_POWER) {
            return new BigDecimal(number).round(new MathContext(digits)).doubleValue();
        }
        return decimals <= 0 ? number : Math.rint(number * POWERS[decimals]) / POWERS[decimals];
    }
}
