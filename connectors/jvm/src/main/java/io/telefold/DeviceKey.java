package io.telefold;

import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.types.Row;

/** Keys valid rows of {@link EventRow} by device. */
public final class DeviceKey implements KeySelector<Row, String> {

    private static final long serialVersionUID = 1L;

    @Override
    public String getKey(Row row) {
        return (String) row.getField(EventRow.DEVICE_ID);
    }
}
