package io.telefold;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple5;
import org.apache.flink.types.Row;

/**
 * As {@link Combine}, of the groups that a device is in: everywhere {@code all}, and for each of some attributes {@code
 * <attribute>#<value>} by the newest value that the device has told. Takes accepted rows of {@link EventRow} keyed by
 * device; the partials of a group from all its devices of a task are one, so that a large group is no hot key behind it.
 *
 * <p>What a device told last is state, of (event time, sequence, values, when it was written, event_id); the devices heard of last
 * are kept at hand.
 */
public final class GroupCombine extends Combine {

    private static final long serialVersionUID = 1L;
    private static final String ALL = "all";
    private static final int AT_HAND = 50_000;

    private final ArrayList<String> attributes;
    private final long retentionMs;
    private transient ValueState<Tuple5<Long, Long, Map<String, String>, Long, String>> told;
    private transient Map<String, Tuple5<Long, Long, Map<String, String>, Long, String>> atHand;

    /** What a device told is known until it has said nothing for {@code retentionMs}; else as {@link Combine}. */
    public GroupCombine(
            List<String> attributes, long baseWindowMs, long intervalMs, int maxCells, long retentionMs) {
        super(baseWindowMs, intervalMs, maxCells);
        this.attributes = new ArrayList<>(attributes);
        this.retentionMs = retentionMs;
    }

    @Override
    public void open() throws Exception {
        super.open();
        ValueStateDescriptor<Tuple5<Long, Long, Map<String, String>, Long, String>> descriptor = new ValueStateDescriptor<>(
                "told",
                Types.TUPLE(Types.LONG, Types.LONG, Types.MAP(Types.STRING, Types.STRING), Types.LONG, Types.STRING));
        descriptor.enableTimeToLive(StateTtl.of(retentionMs));
        told = getRuntimeContext().getState(descriptor);
        atHand = new LinkedHashMap<String, Tuple5<Long, Long, Map<String, String>, Long, String>>(16, 0.75f, true) {
            @Override
            protected boolean removeEldestEntry(Map.Entry<String, Tuple5<Long, Long, Map<String, String>, Long, String>> eldest) {
                return size() > AT_HAND;
            }
        };
    }

    @Override
    void add(Row row) throws Exception {
        Map<String, String> groups = groups(row);
        if (((Map<?, ?>) row.getField(EventRow.METRICS)).isEmpty()) {
            return;
        }
        add(ALL, row);
        for (Map.Entry<String, String> group : groups.entrySet()) {
            add(group.getKey() + "#" + group.getValue(), row);
        }
    }

    /** What the device is grouped by, this event included. */
    private Map<String, String> groups(Row row) throws Exception {
        String device = (String) row.getField(EventRow.DEVICE_ID);
        Tuple5<Long, Long, Map<String, String>, Long, String> known = atHand.get(device);
        if (known == null) {
            known = told.value();
            known = known == null ? Tuple5.of(Long.MIN_VALUE, Long.MIN_VALUE, new HashMap<>(), 0L, "") : known;
            atHand.put(device, known);
        }
        long now = getProcessingTimeService().getCurrentProcessingTime();
        if (!known.f2.isEmpty() && StateTtl.isDue(known.f3, now, retentionMs)) {
            known.f3 = now;
            told.update(known);
        }
        Map<?, ?> news = (Map<?, ?>) row.getField(EventRow.ATTRIBUTES);
        long eventTime = (Long) row.getField(EventRow.EVENT_TIME);
        long sequence = (Long) row.getField(EventRow.SEQUENCE);
        String eventId = (String) row.getField(EventRow.EVENT_ID);
        if (news.isEmpty() || isOlder(eventTime, sequence, eventId, known)) {
            return known.f2;
        }
        boolean tells = false;
        for (String name : attributes) {
            String value = (String) news.get(name);
            if (value != null) {
                known.f2.put(name, value);
                tells = true;
            }
        }
        if (tells) {
            known.f0 = eventTime;
            known.f1 = sequence;
            known.f3 = now;
            known.f4 = eventId;
            told.update(known);
        }
        return known.f2;
    }

    private static boolean isOlder(
            long eventTime, long sequence, String eventId, Tuple5<Long, Long, Map<String, String>, Long, String> known) {
        if (eventTime != known.f0) {
            return eventTime < known.f0;
        }
        return sequence != known.f1 ? sequence < known.f1 : Texts.compareByCodePoints(eventId, known.f4) < 0;
    }
}
