package io.telefold.python;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.python.process.AbstractExternalDataStreamPythonFunctionOperator;
import org.apache.flink.streaming.api.operators.python.process.ExternalPythonKeyedProcessOperator;

/**
 * Flink's own operator of a keyed function whose Python is a process of its own, which asks for state through threads
 * that outlive the task. Flink lets them reach a RocksDB that is closed, which ends the whole TaskManager (FLINK-40135);
 * here they find a shut gate.
 */
public final class PythonProcess<OUT> extends ExternalPythonKeyedProcessOperator<OUT> {

    private static final long serialVersionUID = 1L;

    private final RowTypeInfo inputType;

    private transient StateGate gate;
    private transient KeyedStateBackend<?> guarded;

    private PythonProcess(
            Configuration settings,
            DataStreamPythonFunctionInfo function,
            RowTypeInfo inputType,
            TypeInformation<OUT> outputType) {
        super(settings, function, inputType, outputType);
        this.inputType = inputType;
    }

    /** The like of {@code operator}, one that PyFlink made; what runs Python in Flink's own threads stays as it is. */
    public static <OUT> StreamOperator<OUT> of(StreamOperator<OUT> operator, RowTypeInfo inputType) {
        if (!(operator instanceof ExternalPythonKeyedProcessOperator)) {
            return operator;
        }
        ExternalPythonKeyedProcessOperator<OUT> made = (ExternalPythonKeyedProcessOperator<OUT>) operator;
        return new PythonProcess<>(
                made.getConfiguration(), made.getPythonFunctionInfo(), inputType, made.getProducedType());
    }

    @Override
    @SuppressWarnings("unchecked") // there is one backend, with keys of one type
    public <K> KeyedStateBackend<K> getKeyedStateBackend() {
        if (guarded == null) {
            gate = new StateGate();
            guarded = gate.guard(KeyedStateBackend.class, super.getKeyedStateBackend());
        }
        return (KeyedStateBackend<K>) guarded;
    }

    @Override
    public void close() throws Exception {
        if (gate != null) {
            gate.shut();
        }
        super.close();
    }

    @Override
    public <T> AbstractExternalDataStreamPythonFunctionOperator<T> copy(
            DataStreamPythonFunctionInfo function, TypeInformation<T> outputType) {
        return new PythonProcess<>(getConfiguration(), function, inputType, outputType);
    }
}
