"""The classes of the JVM edge (`connectors/jvm`), reached from Python."""

from typing import Any

from pyflink.common import TypeInformation
from pyflink.datastream import DataStream, KeyedProcessFunction, KeyedStream
from pyflink.datastream.data_stream import _get_one_input_stream_operator
from pyflink.fn_execution.flink_fn_execution_pb2 import UserDefinedDataStreamFunction
from pyflink.java_gateway import get_gateway


def edge() -> Any:
    """The package `io.telefold`; its jar must be on the job's class path."""
    return get_gateway().jvm.io.telefold


def transform(stream: DataStream, name: str, uid: str, output_type: Any, operator: Any) -> DataStream:
    """`stream` through a one-input operator of the edge, which PyFlink itself has no call for."""
    return DataStream(stream._j_data_stream.transform(name, output_type, operator).uid(uid))


def process(stream: KeyedStream, function: KeyedProcessFunction, output_type: TypeInformation, uid: str) -> DataStream:
    """`stream.process(function, output_type)`, but for Python in a process of its own that asks for state too late.

    Flink's own operator ends the TaskManager then: https://issues.apache.org/jira/browse/FLINK-40135
    """
    kind = UserDefinedDataStreamFunction.KEYED_PROCESS
    operator, java_type = _get_one_input_stream_operator(stream, function, kind, output_type)
    input_type = stream._j_data_stream.getTransformation().getOutputType()
    return transform(stream, uid, uid, java_type, edge().PythonProcess.of(operator, input_type))
