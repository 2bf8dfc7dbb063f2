package io.kinesisflink.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class AggregateTest {

    private static Aggregate.UserRecord record(String key, String hashKey, String data) {
        return new Aggregate.UserRecord(key, hashKey, data.getBytes());
    }

    @Test
    void recordsComeOutAsTheyWerePutIn() {
        List<Aggregate.UserRecord> opened = Aggregate.open(Aggregates.of(
                List.of(record("a", null, "1"), record("b", "77", "x".repeat(300)), record("a", null, ""))));
        assertThat(opened).extracting(Aggregate.UserRecord::partitionKey).containsExactly("a", "b", "a");
        assertThat(opened).extracting(Aggregate.UserRecord::explicitHashKey).containsExactly(null, "77", null);
        assertThat(opened).extracting(one -> new String(one.data())).containsExactly("1", "x".repeat(300), "");
    }

    /** Made with the protocol classes of AWS's own library: keys "a" and "b", data "1" and "2". */
    @Test
    void whatAnotherEncoderWroteIsRead() {
        byte[] message = {10, 1, 'a', 10, 1, 'b', 26, 5, 8, 0, 26, 1, '1', 26, 5, 8, 1, 26, 1, '2'};
        assertThat(Aggregate.open(Aggregates.framed(message)))
                .extracting(one -> one.partitionKey() + new String(one.data()))
                .containsExactly("a1", "b2");
    }

    @Test
    void whatIsNoAggregateIsARecordOfItsOwn() {
        byte[] aggregate = Aggregates.of(List.of(record("a", null, "1")));
        assertThat(Aggregate.open(new byte[0])).isNull();
        assertThat(Aggregate.open("text that is longer than any frame".getBytes()))
                .isNull();
        assertThat(Aggregate.open(Arrays.copyOf(aggregate, aggregate.length - 1)))
                .isNull();
        byte[] broken = aggregate.clone();
        broken[8] ^= 1;
        assertThat(Aggregate.open(broken)).isNull();
        assertThat(Aggregate.open(Aggregates.framed(new byte[] {26, 100, 1}))).isNull();
        assertThat(Aggregate.open(Aggregates.framed(new byte[] {26, 2, 8, 5}))).isNull();
    }

    @Test
    void noBytesMakeItFail() {
        Random random = new Random(5);
        for (int i = 0; i < 20_000; i++) {
            byte[] message = new byte[random.nextInt(40)];
            random.nextBytes(message);
            Aggregate.open(Aggregates.framed(message));
        }
    }

    @Test
    void itIsWithinAShardIfAllItsRecordsAre() {
        BigInteger hash = Aggregate.hashKey("a");
        List<Aggregate.UserRecord> both = List.of(record("a", null, "1"), record("a", "77", "2"));
        assertThat(Aggregate.isWithin(both.subList(0, 1), hash, hash)).isTrue();
        assertThat(Aggregate.isWithin(both, hash, hash)).isFalse();
        assertThat(Aggregate.isWithin(both, BigInteger.valueOf(77), hash)).isTrue();
        assertThat(Aggregate.isWithin(both, BigInteger.valueOf(78), hash)).isFalse();
    }
}
