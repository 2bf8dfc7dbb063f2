package io.kinesisflink.source;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The records that a Kinesis Producer Library put into one: four bytes by which it is known, a protobuf message, and the
 * MD5 of that. What only looks like an aggregate is a record of its own.
 */
final class Aggregate {

    /** A record in an aggregate; the explicit hash key is null if it has none. */
    record UserRecord(String partitionKey, String explicitHashKey, byte[] data) {}

    private static final byte[] MAGIC = {(byte) 0xF3, (byte) 0x89, (byte) 0x9A, (byte) 0xC2};
    private static final int DIGEST_BYTES = 16;

    // The fields of the messages AggregatedRecord and Record.
    private static final int PARTITION_KEYS = 1;
    private static final int EXPLICIT_HASH_KEYS = 2;
    private static final int RECORDS = 3;
    private static final int PARTITION_KEY_INDEX = 1;
    private static final int EXPLICIT_HASH_KEY_INDEX = 2;
    private static final int DATA = 3;

    // How protobuf writes a field.
    private static final int VARINT = 0;
    private static final int FIXED_64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED_32 = 5;

    private static final ThreadLocal<MessageDigest> MD5 = ThreadLocal.withInitial(Aggregate::newMd5);

    private Aggregate() {}

    /** The records of an aggregate in their order; null if the data is none. */
    static List<UserRecord> open(byte[] data) {
        int end = data.length - DIGEST_BYTES;
        if (end < MAGIC.length || !Arrays.equals(data, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            return null;
        }
        MessageDigest md5 = MD5.get();
        md5.update(data, MAGIC.length, end - MAGIC.length);
        if (!Arrays.equals(md5.digest(), 0, DIGEST_BYTES, data, end, data.length)) {
            return null;
        }
        try {
            return records(new Message(data, MAGIC.length, end));
        } catch (IndexOutOfBoundsException e) {
            return null;
        }
    }

    /**
     * Whether all records belong to a shard with this range of hash keys, as decimal numbers. A producer that does not
     * know yet of a split puts them into the wrong shard; it sends the whole aggregate again when it does.
     */
    static boolean isWithin(List<UserRecord> records, BigInteger firstHashKey, BigInteger lastHashKey) {
        String checked = null;
        for (UserRecord record : records) {
            if (record.explicitHashKey() != null || !record.partitionKey().equals(checked)) {
                BigInteger key = hashKey(record);
                if (key.compareTo(firstHashKey) < 0 || key.compareTo(lastHashKey) > 0) {
                    return false;
                }
                checked = record.explicitHashKey() == null ? record.partitionKey() : null;
            }
        }
        return true;
    }

    private static BigInteger hashKey(UserRecord record) {
        String explicit = record.explicitHashKey();
        boolean isNumber =
                explicit != null && !explicit.isEmpty() && explicit.chars().allMatch(Character::isDigit);
        return isNumber ? new BigInteger(explicit) : hashKey(record.partitionKey());
    }

    /** By which Kinesis chooses the shard of a partition key. */
    static BigInteger hashKey(String partitionKey) {
        return new BigInteger(1, MD5.get().digest(partitionKey.getBytes(StandardCharsets.UTF_8)));
    }

    private static List<UserRecord> records(Message message) {
        List<String> partitionKeys = new ArrayList<>();
        List<String> explicitHashKeys = new ArrayList<>();
        List<Message> records = new ArrayList<>();
        while (message.next()) {
            if (message.isBytes(PARTITION_KEYS)) {
                partitionKeys.add(message.text());
            } else if (message.isBytes(EXPLICIT_HASH_KEYS)) {
                explicitHashKeys.add(message.text());
            } else if (message.isBytes(RECORDS)) {
                records.add(message.message());
            }
        }
        List<UserRecord> opened = new ArrayList<>(records.size());
        for (Message record : records) {
            opened.add(record(record, partitionKeys, explicitHashKeys));
        }
        return opened;
    }

    private static UserRecord record(Message record, List<String> partitionKeys, List<String> explicitHashKeys) {
        int partitionKey = 0;
        int explicitHashKey = -1;
        byte[] data = {};
        while (record.next()) {
            if (record.isNumber(PARTITION_KEY_INDEX)) {
                partitionKey = record.index();
            } else if (record.isNumber(EXPLICIT_HASH_KEY_INDEX)) {
                explicitHashKey = record.index();
            } else if (record.isBytes(DATA)) {
                data = record.bytes();
            }
        }
        return new UserRecord(
                partitionKeys.get(partitionKey),
                explicitHashKey < 0 ? null : explicitHashKeys.get(explicitHashKey),
                data);
    }

    private static MessageDigest newMd5() {
        try {
            return MessageDigest.getInstance("MD5");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every JDK has MD5", e);
        }
    }

    /** Reads the fields of a message one after the other. IndexOutOfBoundsException if it is none. */
    private static final class Message {

        private final byte[] buffer;
        private final int end;
        private int at;
        private int field;
        private int type;
        private long number;
        private int start;

        Message(byte[] buffer, int start, int end) {
            this.buffer = buffer;
            this.at = start;
            this.end = end;
        }

        /** Goes to the next field; false if there is none. */
        boolean next() {
            if (at == end) {
                return false;
            }
            long tag = varint();
            field = (int) (tag >>> 3);
            type = (int) (tag & 7);
            switch (type) {
                case VARINT -> number = varint();
                case BYTES -> skip(varint());
                case FIXED_64 -> skip(8);
                case FIXED_32 -> skip(4);
                default -> throw new IndexOutOfBoundsException("No such type of field: " + type);
            }
            return true;
        }

        boolean isNumber(int field) {
            return this.field == field && type == VARINT;
        }

        boolean isBytes(int field) {
            return this.field == field && type == BYTES;
        }

        int index() {
            if (number < 0 || number > Integer.MAX_VALUE) {
                throw new IndexOutOfBoundsException("No such index: " + number);
            }
            return (int) number;
        }

        String text() {
            return new String(buffer, start, at - start, StandardCharsets.UTF_8);
        }

        byte[] bytes() {
            return Arrays.copyOfRange(buffer, start, at);
        }

        Message message() {
            return new Message(buffer, start, at);
        }

        private void skip(long bytes) {
            if (bytes < 0 || bytes > end - at) {
                throw new IndexOutOfBoundsException("The message ends within a field");
            }
            start = at;
            at += (int) bytes;
        }

        private long varint() {
            long value = 0;
            for (int shift = 0; shift < 64; shift += 7) {
                if (at == end) {
                    throw new IndexOutOfBoundsException("The message ends within a number");
                }
                byte next = buffer[at++];
                value |= (long) (next & 0x7F) << shift;
                if (next >= 0) {
                    return value;
                }
            }
            throw new IndexOutOfBoundsException("A number has more than 64 bits");
        }
    }
}
