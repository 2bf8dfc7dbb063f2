"""Streams through Java functions and operators, which PyFlink has no calls for. Each step's name is its uid too."""

from typing import Any

from pyflink.common import TypeInformation, Types
from pyflink.datastream import (
    DataStream,
    KeyedProcessFunction,
    KeyedStream,
    ProcessFunction,
    StreamExecutionEnvironment,
)
from pyflink.datastream.data_stream import _get_one_input_stream_operator
from pyflink.fn_execution.flink_fn_execution_pb2 import UserDefinedDataStreamFunction

from telefold.edge.java import edge, jvm, text

_IN_A_PROCESS = ("ExternalPythonKeyedProcessOperator", "ExternalPythonProcessOperator")
_WAIT_MS = 50
"""How long a batch may wait for others on its way into Python: it is one of many events already."""


def from_source(environment: StreamExecutionEnvironment, source: Any, name: str) -> DataStream:
    """The stream of `source`, a `Source` that says its type and makes its watermarks itself, if it makes any.

    Its uid is not its name: that of the sources before it was, and their state is none of its own.
    """
    strategy = jvm().org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    made = environment._j_stream_execution_environment.fromSource(source, strategy, name)
    return DataStream(made.uid(f"{name}-source"))


def takes_checkpoints(environment: StreamExecutionEnvironment) -> bool:
    """Whether jobs of `environment` take checkpoints, by its own settings or by those of where it runs."""
    return bool(environment._j_stream_execution_environment.getCheckpointConfig().isCheckpointingEnabled())


def sink_to(stream: DataStream, sink: Any, name: str, uid: str | None = None) -> None:
    """End `stream` in `sink`, a `Sink`; `uid` where the state of several must not be taken for each other's."""
    stream._j_data_stream.sinkTo(sink).name(name).uid(uid or name)


def map_each(stream: DataStream, function: Any, output_type: Any, name: str) -> DataStream:
    """Apply a `MapFunction` to `stream`."""
    return DataStream(stream._j_data_stream.map(function, output_type).name(name).uid(name))


def flat_map(stream: DataStream, function: Any, output_type: Any, name: str) -> DataStream:
    """Apply a `FlatMapFunction` to `stream`."""
    return DataStream(stream._j_data_stream.flatMap(function, output_type).name(name).uid(name))


def keep_if(stream: DataStream, function: Any, name: str, uid: str | None = None) -> DataStream:
    """Keep the records of `stream` that a `FilterFunction` accepts."""
    return DataStream(stream._j_data_stream.filter(function).name(name).uid(uid or name))


def transform(stream: DataStream, operator: Any, output_type: Any, name: str, uid: str | None = None) -> DataStream:
    """Apply a one-input operator to `stream`."""
    return DataStream(stream._j_data_stream.transform(name, output_type, operator).uid(uid or name))


def transform_with_broadcast(
    stream: DataStream, broadcast: DataStream, operator: Any, output_type: Any, name: str
) -> DataStream:
    """Apply a two-input operator to `stream`; all its tasks take the whole of `broadcast`."""
    connected = stream._j_data_stream.connect(broadcast._j_data_stream.broadcast())
    return DataStream(connected.transform(name, output_type, operator).uid(name))


def side_output(stream: DataStream, tag: Any) -> DataStream:
    """The records that the operator of `stream` has sent to `tag`, an `OutputTag`."""
    return DataStream(stream._j_data_stream.getSideOutput(tag))


def in_one_task(stream: DataStream) -> DataStream:
    """Let one task make `stream`: several would send what they share in orders that differ from task to task."""
    stream._j_data_stream.setParallelism(1)
    return stream


def key_by(stream: DataStream, selector: Any) -> DataStream:
    """`stream` with all that has one text as its key, by `selector`, in one task."""
    return DataStream(stream._j_data_stream.keyBy(selector, text()))


def keyed_as_it_is(stream: DataStream, selector: Any) -> DataStream:
    """`stream`, which `key_by` has divided by the same key already, keyed without another hop."""
    return DataStream(_again(stream, selector, text()))


def key_rows(rows: DataStream) -> KeyedStream:
    """Key `rows` by their first field, a text, for Python behind; in the JVM, where it is no hop of its own."""
    java = rows._j_data_stream.keyBy(jvm().KeyByKeySelector(), _row_key())
    return KeyedStream(java, Types.STRING(), rows)


def rows_keyed_as_they_are(rows: DataStream) -> KeyedStream:
    """Key `rows`, which `key_rows` has divided already, without another hop."""
    return KeyedStream(_again(rows, jvm().KeyByKeySelector(), _row_key()), Types.STRING(), rows)


def process(stream: KeyedStream, function: KeyedProcessFunction, output_type: TypeInformation, name: str) -> DataStream:
    """`stream.process(function, output_type)`, but for Python in a process of its own that asks for state too late.

    Flink's own operator ends the TaskManager then: https://issues.apache.org/jira/browse/FLINK-40135
    """
    kind = UserDefinedDataStreamFunction.KEYED_PROCESS
    operator, java_type = _get_one_input_stream_operator(stream, function, kind, output_type)
    input_type = stream._j_data_stream.getTransformation().getOutputType()
    prompt = _prompt(operator, input_type, java_type)
    return transform(stream, edge().python.PythonProcess.of(prompt, input_type), java_type, name)


def process_each(stream: DataStream, function: ProcessFunction, output_type: TypeInformation, name: str) -> DataStream:
    """`stream.process(function, output_type)` of a stream without keys."""
    kind = UserDefinedDataStreamFunction.PROCESS
    operator, java_type = _get_one_input_stream_operator(stream, function, kind, output_type)
    input_type = stream._j_data_stream.getTransformation().getOutputType()
    return transform(stream, _prompt(operator, input_type, java_type), java_type, name)


def _prompt(operator: Any, input_type: Any, output_type: Any) -> Any:
    """The like of `operator`, in which nothing waits for long on its way into Python.

    Flink has a setting for that, which managed Flink refuses from 2.2 on where it is set for the whole job. So the
    operator has settings of its own. Python in Flink's own threads is called at once and stays as it is.
    """
    kinds = jvm().org.apache.flink.streaming.api.operators.python.process
    kind = operator.getClass().getSimpleName()
    if kind not in _IN_A_PROCESS:
        return operator
    settings = jvm().org.apache.flink.configuration.Configuration(operator.getConfiguration())
    settings.setString("python.fn-execution.bundle.time", str(_WAIT_MS))
    return getattr(kinds, kind)(settings, operator.getPythonFunctionInfo(), input_type, output_type)


def _again(stream: DataStream, selector: Any, key_type: Any) -> Any:
    utils = jvm().org.apache.flink.streaming.api.datastream.DataStreamUtils
    return utils.reinterpretAsKeyedStream(stream._j_data_stream, selector, key_type)


def _row_key() -> Any:
    """PyFlink's own key of a row is a row of one field."""
    return Types.ROW([Types.STRING()]).get_java_type_info()
