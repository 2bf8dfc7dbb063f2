"""Objects of the JVM that PyFlink drives. Nothing outside this package knows py4j."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError
from pyflink import java_gateway
from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway

__all__ = [
    "JavaError",
    "edge",
    "jvm",
    "let_all_connections_find_the_jar",
    "load_file_systems",
    "release_all",
    "row",
    "text",
    "text_map",
]

_STARTED_WITHIN_S = 0.2

JavaError = Py4JJavaError
"""An exception of the JVM, whose text can be read only as long as the JVM lives."""


def jvm() -> Any:
    """The root of all Java packages that the JVM's class path has."""
    return get_gateway().jvm


def edge() -> Any:
    """The package `io.telefold`, whose sub-packages hold the classes; its jar must be on the job's class path."""
    return jvm().io.telefold


def text() -> Any:
    """Flink's type of a text."""
    return jvm().org.apache.flink.api.common.typeinfo.Types.STRING


def text_map(values: Mapping[str, str]) -> Any:
    """A `java.util.Map` of texts."""
    made = jvm().java.util.HashMap()
    for key, value in values.items():
        made.put(key, value)
    return made


def row(*values: Any) -> Any:
    """Flink's `Row` of `values`, in their order."""
    made = jvm().org.apache.flink.types.Row(len(values))
    for position, value in enumerate(values):
        made.setField(position, value)
    return made


def release_all() -> None:
    """Let go of every Java object.

    Python would else try to release each of them in a JVM that has ended, and log an error each time.
    """
    gateway, disabled = java_gateway._gateway, logging.root.manager.disable
    if gateway is None:
        return
    logging.disable()  # a JVM that has ended already is no news
    try:
        gateway.shutdown()
    except (Py4JError, OSError):
        gateway._gateway_client.is_connected = False
    finally:
        logging.disable(disabled)


def let_all_connections_find_the_jar() -> None:
    """Give the class loader of the job's jar to every connection between Python and the JVM.

    PyFlink gives it to the JVM's thread behind the connection in use, and to no other. py4j opens another whenever the
    garbage collector has the first release an object; behind that one no class of ours would be found. Threads to come
    inherit the class loader of the one that accepts them; one that was made before that, and has not started yet, is
    not among all threads, so that these are asked for once more.
    """
    thread = jvm().Thread
    loader = thread.currentThread().getContextClassLoader()
    for pause_s in (0.0, _STARTED_WITHIN_S):
        time.sleep(pause_s)
        for each in thread.getAllStackTraces().keySet():
            if each.getName().startswith("Thread-"):  # those of py4j have no other name
                each.setContextClassLoader(loader)


def load_file_systems(configuration: Configuration) -> None:
    """Load Flink's plugins for file systems, with `configuration`'s keys.

    Flink's own entry points do this; a mini-cluster that is driven from Python has none of them.
    """
    core, java = jvm().org.apache.flink.core, configuration._j_configuration
    plugins = core.plugin.PluginUtils.createPluginManagerFromRootFolder(java)
    core.fs.FileSystem.initialize(java, plugins)
