"""The JVM that runs the mini-cluster: started here rather than by PyFlink, so that we own its output and its end."""

import os
import re
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from telefold.schemas.errors import JobError

_GATEWAY = "org.apache.flink.client.python.PythonGatewayServer"
_START_TIMEOUT_S = 60
JAVA = 17
"""The oldest Java that loads the job's jar."""
_VERSION = re.compile(r'version "(\d+)')


class Jvm:
    """A running JVM that PyFlink connects to; it ends with this process even if that is killed."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def stop(self) -> None:
        """Terminate the JVM and wait until it is gone."""
        from telefold.edge import java

        java.release_all()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(log_file: Path, environment: Mapping[str, str]) -> Jvm:
    """Start the JVM with `environment` on top of ours and everything it prints in `log_file`."""
    check_java()
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log = log_file.open("ab")
    with tempfile.TemporaryDirectory() as folder:
        connection = Path(folder, "connection")
        process = _launch({**os.environ, **environment, "_PYFLINK_CONN_INFO_PATH": str(connection)}, log)
        try:
            os.environ["PYFLINK_GATEWAY_PORT"] = str(_await_port(process, connection, log_file))
        except BaseException:
            process.kill()
            process.wait()
            raise
    return Jvm(process)


def check_java() -> None:
    """Raise JobError unless the Java that Flink would take is new enough for the job's jar."""
    java = str(Path(os.environ["JAVA_HOME"], "bin", "java")) if "JAVA_HOME" in os.environ else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        said = ""
    found = _VERSION.search(said)
    if found is None or int(found[1]) < JAVA:
        what = f"Java {found[1]} is too old" if found else "No Java was found"
        raise JobError(f"{what}: install a JDK {JAVA} and put `java` on the PATH, or set JAVA_HOME.")


def _launch(environment: dict[str, str], log: IO[bytes]) -> Any:
    from pyflink.pyflink_gateway_server import launch_gateway_server_process

    with _standard_output_to(log):
        process = launch_gateway_server_process(environment, ["-c", _GATEWAY, "local"])
    threading.Thread(target=_drain, args=(process.stderr, log), daemon=True).start()
    return process


def _drain(output: BufferedReader, log: IO[bytes]) -> None:
    """PyFlink gives the JVM a pipe for its errors that nobody reads: once full, it would stop the job."""
    while chunk := output.read1(65_536):
        log.write(chunk)
        log.flush()


class _standard_output_to:  # noqa: N801 - reads as a phrase at its one use
    """A block in which new processes inherit `log` as their standard output."""

    def __init__(self, log: IO[bytes]) -> None:
        self._log = log

    def __enter__(self) -> None:
        self._saved = os.dup(1)
        os.dup2(self._log.fileno(), 1)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 1)
        os.close(self._saved)


def _await_port(process: Any, connection: Path, log_file: Path) -> int:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not connection.exists() or connection.stat().st_size < 4:
        if process.poll() is not None or time.monotonic() > deadline:
            raise JobError(f"The JVM for the job did not start; its last words are in {log_file}.")
        time.sleep(0.05)
    (port,) = struct.unpack("!I", connection.read_bytes()[:4])
    return int(port)
