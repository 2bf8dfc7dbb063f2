package io.telefold.groups;

import io.telefold.Texts;
import io.telefold.event.EventOrder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/**
 * The newest value of some attributes of a device, by the rule of {@code operators/folds/lifecycle.py}: as the event told it
 * that is greatest in {@link EventOrder}, each name for itself; any event tells them but acknowledgements.
 */
final class Attributes {

    private static final int INITIAL_BYTES = 128;
    private static final String ACKNOWLEDGEMENT = "alert_acknowledged";

    private final TreeMap<String, Told> told = new TreeMap<>();

    /** As {@link #groups} returns it, null if that changed. */
    private List<String> groups;

    /** Takes what an event says of the attributes of {@code names}; returns whether anything of that is newer. */
    boolean tell(
            List<String> names, String type, long at, long sequence, String eventId, Map<String, String> attributes) {
        if (attributes.isEmpty() || ACKNOWLEDGEMENT.equals(type)) {
            return false;
        }
        boolean isNewer = false;
        for (String name : names) {
            String value = attributes.get(name);
            Told before = value == null ? null : told.get(name);
            if (value != null && (before == null || before.isBefore(at, sequence, eventId))) {
                told.put(name, new Told(value, at, sequence, eventId));
                isNewer = true;
            }
        }
        if (isNewer) {
            groups = null;
        }
        return isNewer;
    }

    boolean isEmpty() {
        return told.isEmpty();
    }

    /** {@code <name>#<value>} of each that was told. */
    List<String> groups() {
        if (groups == null) {
            groups = new ArrayList<>(told.size());
            told.forEach((name, each) -> groups.add(name + "#" + each.value));
        }
        return groups;
    }

    byte[] toBytes() throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(INITIAL_BYTES);
        Texts.writeLength(told.size(), out);
        for (Map.Entry<String, Told> each : told.entrySet()) {
            Texts.write(each.getKey(), out);
            Texts.write(each.getValue().value, out);
            out.writeLong(each.getValue().at);
            out.writeLong(each.getValue().sequence);
            Texts.write(each.getValue().eventId, out);
        }
        return out.getCopyOfBuffer();
    }

    /** Takes what {@link #toBytes} returned. */
    static Attributes of(byte[] bytes) throws IOException {
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        Attributes attributes = new Attributes();
        for (int left = Texts.readLength(in); left > 0; left--) {
            attributes.told.put(Texts.read(in), new Told(Texts.read(in), in.readLong(), in.readLong(), Texts.read(in)));
        }
        return attributes;
    }

    private static final class Told {

        private final String value;
        private final long at;
        private final long sequence;
        private final String eventId;

        Told(String value, long at, long sequence, String eventId) {
            this.value = value;
            this.at = at;
            this.sequence = sequence;
            this.eventId = eventId;
        }

        boolean isBefore(long otherAt, long otherSequence, String otherId) {
            return EventOrder.isBefore(at, sequence, eventId, otherAt, otherSequence, otherId);
        }
    }
}
