package io.telefold;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonStringEncoder;

/**
 * Texts as UTF-8 with their length in front, which Java copies where Flink's own form goes through every character. They
 * must be valid Unicode, as all are that were read from UTF-8.
 */
public final class Texts {

    /** What does not fit a byte. */
    public static final int LONG = 255;

    private Texts() {}

    public static void write(String text, DataOutputView out) throws IOException {
        writeBytes(text.getBytes(StandardCharsets.UTF_8), out);
    }

    public static String read(DataInputView in) throws IOException {
        return new String(readBytes(in), StandardCharsets.UTF_8);
    }

    /** The text as it stands between the quotes of a JSON string. */
    public static String quoted(String text) {
        return new String(JsonStringEncoder.getInstance().quoteAsString(text));
    }

    /** The order of UTF-8, and of Python; Java's own differs where a pair of surrogates meets U+E000 to U+FFFF. */
    public static int compareByCodePoints(String one, String other) {
        int shorter = Math.min(one.length(), other.length());
        for (int i = 0; i < shorter; i++) {
            char a = one.charAt(i);
            char b = other.charAt(i);
            if (a != b) {
                boolean isPair = Character.isSurrogate(a);
                return isPair == Character.isSurrogate(b) ? Character.compare(a, b) : isPair ? 1 : -1;
            }
        }
        return Integer.compare(one.length(), other.length());
    }

    public static void writeBytes(byte[] bytes, DataOutputView out) throws IOException {
        writeLength(bytes.length, out);
        out.write(bytes);
    }

    public static byte[] readBytes(DataInputView in) throws IOException {
        byte[] bytes = new byte[readLength(in)];
        in.readFully(bytes);
        return bytes;
    }

    /** Most are short, and take one byte. */
    public static void writeLength(int length, DataOutputView out) throws IOException {
        out.writeByte(Math.min(length, LONG));
        if (length >= LONG) {
            out.writeInt(length);
        }
    }

    public static int readLength(DataInputView in) throws IOException {
        int length = in.readUnsignedByte();
        return length < LONG ? length : in.readInt();
    }

    /** Taken as unsigned, seven bits a byte, the lowest first: small ones are short. */
    public static void writeNumber(long number, DataOutputView out) throws IOException {
        long left = number;
        while ((left & ~0x7FL) != 0) {
            out.writeByte((int) (left & 0x7F | 0x80));
            left >>>= 7;
        }
        out.writeByte((int) left);
    }

    public static long readNumber(DataInputView in) throws IOException {
        long number = 0;
        int shift = 0;
        long part = in.readByte();
        for (; part < 0; part = in.readByte()) {
            number |= (part & 0x7F) << shift;
            shift += 7;
        }
        return number | part << shift;
    }
}
