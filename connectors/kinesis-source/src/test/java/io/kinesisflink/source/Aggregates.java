package io.kinesisflink.source;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;

/** Makes aggregates as a Kinesis Producer Library does. */
final class Aggregates {

    private static final byte[] MAGIC = {(byte) 0xF3, (byte) 0x89, (byte) 0x9A, (byte) 0xC2};

    private Aggregates() {}

    static byte[] of(List<Aggregate.UserRecord> records) {
        List<String> keys = new ArrayList<>();
        List<String> hashKeys = new ArrayList<>();
        ByteArrayOutputStream encoded = new ByteArrayOutputStream();
        for (Aggregate.UserRecord record : records) {
            ByteArrayOutputStream one = new ByteArrayOutputStream();
            number(one, 1, indexIn(keys, record.partitionKey()));
            if (record.explicitHashKey() != null) {
                number(one, 2, indexIn(hashKeys, record.explicitHashKey()));
            }
            bytes(one, 3, record.data());
            bytes(one, 4, new byte[] {10, 1, 't'}); // a tag, which nobody reads
            bytes(encoded, 3, one.toByteArray());
        }
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        keys.forEach(key -> bytes(message, 1, key.getBytes(StandardCharsets.UTF_8)));
        hashKeys.forEach(key -> bytes(message, 2, key.getBytes(StandardCharsets.UTF_8)));
        message.writeBytes(encoded.toByteArray());
        return framed(message.toByteArray());
    }

    static byte[] framed(byte[] message) {
        try {
            ByteArrayOutputStream whole = new ByteArrayOutputStream();
            whole.writeBytes(MAGIC);
            whole.writeBytes(message);
            whole.writeBytes(MessageDigest.getInstance("MD5").digest(message));
            return whole.toByteArray();
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static int indexIn(List<String> table, String key) {
        if (!table.contains(key)) {
            table.add(key);
        }
        return table.indexOf(key);
    }

    private static void number(ByteArrayOutputStream out, int field, long value) {
        varint(out, field << 3);
        varint(out, value);
    }

    private static void bytes(ByteArrayOutputStream out, int field, byte[] value) {
        varint(out, field << 3 | 2);
        varint(out, value.length);
        out.writeBytes(value);
    }

    private static void varint(ByteArrayOutputStream out, long value) {
        long left = value;
        while (left > 0x7F) {
            out.write((int) (left & 0x7F | 0x80));
            left >>>= 7;
        }
        out.write((int) left);
    }
}
