package io.telefold.view;

import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.NumberOutput;

/**
 * A column of numbers as a JSON list, which {@code schemas/packed_rows.py} reads. Its first element is a number of decimals
 * that all of them do with; then come the first number and what each differs by from the one before, as whole numbers of the
 * last decimal. Neighbours are much alike, so most of these are short. Null stands first where that many decimals are too
 * many, and the numbers follow as they are.
 */
final class NumberColumn {

    static final int DIGITS_OF_M2 = 10;
    private static final int MAX_DECIMALS = 6;
    private static final double[] SHIFTS = {1, 10, 100, 1_000, 10_000, 100_000, 1_000_000};

    /** Whole numbers up to this are exact as doubles, and so is any one of them divided by a power of ten, once read. */
    private static final double MAX_WHOLE = 1L << 53;

    private NumberColumn() {}

    static void append(double[] numbers, StringBuilder out) {
        int decimals = decimals(numbers);
        if (decimals < 0) {
            appendAsTheyAre(numbers, out);
        } else {
            appendDifferences(numbers, decimals, out);
        }
    }

    private static void appendAsTheyAre(double[] numbers, StringBuilder out) {
        out.append("[null");
        for (double number : numbers) {
            out.append(',').append(NumberOutput.toString(number, true));
        }
        out.append(']');
    }

    private static void appendDifferences(double[] numbers, int decimals, StringBuilder out) {
        out.append('[').append(decimals);
        long before = 0;
        for (double number : numbers) {
            long whole = (long) Math.rint(number * SHIFTS[decimals]);
            out.append(',').append(whole - before);
            before = whole;
        }
        out.append(']');
    }

    static void append(long[] numbers, StringBuilder out) {
        out.append("[0");
        long before = 0;
        for (long number : numbers) {
            out.append(',').append(number - before);
            before = number;
        }
        out.append(']');
    }

    /**
     * Appends windows' {@code m2}, of so many digits, as what they are when multiplied by their counts: these have few decimals
     * where readings do. Null stands first where they would not be told by that, and they follow as they are.
     */
    static void appendM2(double[] m2, long[] counts, StringBuilder out) {
        int decimals = 0;
        while (decimals <= MAX_DECIMALS && !areToldByProducts(m2, counts, SHIFTS[decimals])) {
            decimals++;
        }
        if (decimals > MAX_DECIMALS) {
            appendAsTheyAre(m2, out);
            return;
        }
        double[] products = new double[m2.length];
        for (int place = 0; place < m2.length; place++) {
            products[place] = m2[place] * counts[place];
        }
        appendDifferences(products, decimals, out);
    }

    private static boolean areToldByProducts(double[] m2, long[] counts, double shift) {
        for (int place = 0; place < m2.length; place++) {
            double whole = Math.rint(m2[place] * counts[place] * shift);
            double told = Digits.rounded(whole / shift / counts[place], DIGITS_OF_M2);
            if (Math.abs(whole) > MAX_WHOLE || told != m2[place]) {
                return false;
            }
        }
        return true;
    }

    /** The fewest decimals of which a division gives back every one of {@code numbers}, sign and all; -1 if there are none. */
    private static int decimals(double[] numbers) {
        int decimals = 0;
        for (double number : numbers) {
            while (!fits(number, SHIFTS[decimals])) {
                if (++decimals > MAX_DECIMALS) {
                    return -1;
                }
            }
        }
        // What fits with few decimals may be too large with more.
        for (double number : numbers) {
            if (!fits(number, SHIFTS[decimals])) {
                return -1;
            }
        }
        return decimals;
    }

    private static boolean fits(double number, double shift) {
        double whole = Math.rint(number * shift);
        return Math.abs(whole) <= MAX_WHOLE && Double.compare(whole / shift, number) == 0 && !isNegativeZero(number);
    }

    private static boolean isNegativeZero(double number) {
        return number == 0 && 1 / number < 0;
    }
}
