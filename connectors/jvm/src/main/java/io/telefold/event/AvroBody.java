package io.telefold.event;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.apache.avro.io.Decoder;
import org.apache.avro.util.Utf8;

/**
 * Reads Avro's binary encoding from bytes nobody vouches for.
 *
 * <p>Avro's own decoder believes the lengths it is told and allocates them, and takes invalid UTF-8 for text. This one
 * never allocates more than the bytes it holds and never repairs. It throws {@link EOFException} where the bytes end
 * before a value begins or before its declared length, and {@link IOException} where they are no Avro.
 *
 * <p>What no encoder writes is decided as the Python codec decides it, so that a record is not an event to one and
 * poison to the other: a number that breaks off in its middle is no Avro, the bits of one that has too many wrap
 * around, and a negative length is one that the bytes cannot fill.
 */
final class AvroBody extends Decoder {

    /** Of every union in the schemas: null, and a text. To Python, -1 is the last of them. */
    private static final int BRANCHES = 2;

    private byte[] bytes;
    private int position;

    /** Read on from {@code offset} of {@code bytes}. */
    void reset(byte[] bytes, int offset) {
        this.bytes = bytes;
        this.position = offset;
    }

    boolean isEnd() {
        return position == bytes.length;
    }

    @Override
    public void readNull() {}

    @Override
    public boolean readBoolean() throws IOException {
        return bytes[take(1)] != 0;
    }

    @Override
    public int readInt() throws IOException {
        long value = readLong();
        if (value != (int) value) {
            throw new IOException("an int is out of range");
        }
        return (int) value;
    }

    @Override
    public long readLong() throws IOException {
        byte next = bytes[take(1)];
        long zigzag = next & 0x7f;
        for (int shift = 7; next < 0; shift += 7) {
            if (isEnd()) {
                throw new IOException("a number does not end");
            }
            next = bytes[position++];
            zigzag |= (next & 0x7fL) << shift;
        }
        return (zigzag >>> 1) ^ -(zigzag & 1);
    }

    @Override
    public float readFloat() throws IOException {
        return Float.intBitsToFloat((int) readLittleEndian(4));
    }

    @Override
    public double readDouble() throws IOException {
        return Double.longBitsToDouble(readLittleEndian(8));
    }

    @Override
    public String readString() throws IOException {
        int length = readLength();
        int start = take(length);
        String text = new String(bytes, start, length, StandardCharsets.UTF_8);
        // The fast constructor writes U+FFFD for what it cannot read: only then is the slow, strict look needed.
        if (text.indexOf('\uFFFD') >= 0) {
            requireUtf8(start, length);
        }
        return text;
    }

    @Override
    public Utf8 readString(Utf8 old) throws IOException {
        return new Utf8(readString());
    }

    @Override
    public void skipString() throws IOException {
        // Read, not skipped: a record is malformed even where the current schema no longer has the field.
        readString();
    }

    @Override
    public ByteBuffer readBytes(ByteBuffer old) throws IOException {
        int length = readLength();
        return ByteBuffer.wrap(bytes, take(length), length).slice();
    }

    @Override
    public void skipBytes() throws IOException {
        take(readLength());
    }

    @Override
    public void readFixed(byte[] target, int start, int length) throws IOException {
        System.arraycopy(bytes, take(length), target, start, length);
    }

    @Override
    public void skipFixed(int length) throws IOException {
        take(length);
    }

    @Override
    public int readEnum() throws IOException {
        return readInt();
    }

    @Override
    public int readIndex() throws IOException {
        int branch = readInt();
        return branch < 0 ? branch + BRANCHES : branch;
    }

    @Override
    public long readArrayStart() throws IOException {
        long items = readBlockCount();
        // Readers make room for the items before they see them.
        if (items > remaining()) {
            throw new EOFException("an array has more items than bytes");
        }
        return items;
    }

    @Override
    public long arrayNext() throws IOException {
        return readArrayStart();
    }

    @Override
    public long skipArray() throws IOException {
        return readArrayStart();
    }

    @Override
    public long readMapStart() throws IOException {
        return readBlockCount();
    }

    @Override
    public long mapNext() throws IOException {
        return readBlockCount();
    }

    @Override
    public long skipMap() throws IOException {
        return readBlockCount();
    }

    private long readBlockCount() throws IOException {
        long count = readLong();
        while (count < 0) {
            // A negative count announces the size of the block in bytes, which only readers that skip need.
            readLong();
            // The one count whose negation is negative, too, is a block of nothing.
            if (count != Long.MIN_VALUE) {
                return -count;
            }
            count = readLong();
        }
        return count;
    }

    private int readLength() throws IOException {
        long length = readLong();
        if (length < 0 || length > remaining()) {
            throw new EOFException("a length is beyond the last byte");
        }
        return (int) length;
    }

    private long readLittleEndian(int size) throws IOException {
        int start = take(size);
        long value = 0;
        for (int i = size - 1; i >= 0; i--) {
            value = value << 8 | bytes[start + i] & 0xff;
        }
        return value;
    }

    /** Move past the next {@code length} bytes; returns where they begin. */
    private int take(int length) throws EOFException {
        if (length > remaining()) {
            throw new EOFException("the bytes end early");
        }
        int start = position;
        position += length;
        return start;
    }

    private int remaining() {
        return bytes.length - position;
    }

    private void requireUtf8(int start, int length) throws CharacterCodingException {
        StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, start, length));
    }
}
