"""The classes of the JVM edge (`connectors/jvm`), reached from Python."""

from typing import Any

from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway


def edge() -> Any:
    """The package `io.telefold`; its jar must be on the job's class path."""
    return get_gateway().jvm.io.telefold


def transform(stream: DataStream, name: str, uid: str, output_type: Any, operator: Any) -> DataStream:
    """`stream` through a one-input operator of the edge, which PyFlink itself has no call for."""
    return DataStream(stream._j_data_stream.transform(name, output_type, operator).uid(uid))
