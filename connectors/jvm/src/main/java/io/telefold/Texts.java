package io.telefold;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Texts as UTF-8 with their length in front, which Java copies where Flink's own form goes through every character. They
 * must be valid Unicode, as all are that were read from UTF-8.
 */
final class Texts {

    /** What does not fit a byte. */
    static final int LONG = 255;

    private Texts() {}

    static void write(String text, DataOutputView out) throws IOException {
        writeBytes(text.getBytes(StandardCharsets.UTF_8), out);
    }

    static String read(DataInputView in) throws IOException {
        return new String(readBytes(in), StandardCharsets.UTF_8);
    }

    /** The order of UTF-8, and of Python; Java's own differs where a pair of surrogates meets U+E000 to U+FFFF. */
    static int compareByCodePoints(String one, String other) {
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

    static void writeBytes(byte[] bytes, DataOutputView out) throws IOException {
        writeLength(bytes.length, out);
        out.write(bytes);
    }

    static byte[] readBytes(DataInputView in) throws IOException {
        byte[] bytes = new byte[readLength(in)];
        in.readFully(bytes);
        return bytes;
    }

    /** Most are short, and take one byte. */
    static void writeLength(int length, DataOutputView out) throws IOException {
        out.writeByte(Math.min(length, LONG));
        if (length >= LONG) {
            out.writeInt(length);
        }
    }

    static int readLength(DataInputView in) throws IOException {
        int length = in.readUnsignedByte();
        return length < LONG ? length : in.readInt();
    }
}
