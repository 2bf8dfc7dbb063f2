"""The Flink environment of a local run: mini-cluster, checkpoints on disk, RocksDB, bounded memory."""

import os
import socket
import sys
import sysconfig
from pathlib import Path
from typing import Any, NamedTuple

from telefold.connectors import archive_place, aws
from telefold.deploy import checkout
from telefold.operators.settings import JobSettings
from telefold.schemas.errors import JobError

JVM_OPTIONS = "-Xms256m -Xmx1g -XX:MaxMetaspaceSize=512m -XX:+UseG1GC"
"""JVM options that keep a local job under 3 GB, with 512 MB of managed memory for RocksDB. The environment variable
`JVM_ARGS` adds to them."""

_MAX_FAILURES = 3
PLUGINS = checkout.LIBRARY / "plugins"
LOG4J = Path(__file__).with_name("log4j.properties")
_REPORTER = checkout.LIBRARY / "prometheus"
_S3_CREDENTIALS = "s3.aws.credentials.provider"


class Paths(NamedTuple):
    """The files of a local run, all below the folder of the properties file."""

    checkpoints: Path
    log: Path
    status: Path
    lock: Path
    scratch: Path
    """RocksDB's working files; of no use once the run has ended, however it ended."""

    @classmethod
    def below(cls, root: Path, role: str, lineage: str) -> "Paths":
        """`role` is what one process does at a time, `lineage` whose state it goes on with."""
        return cls(
            checkpoints=root / "checkpoints" / lineage,
            log=root / "logs" / f"{role}.log",
            status=root / f"{role}.status.json",
            lock=root / f"{role}.lock",
            scratch=root / "scratch" / role,
        )


def jvm_environment(
    paths: Paths, endpoint: str | None, archive_path: str | None = None, metrics_port: int | None = None
) -> dict[str, str]:
    """Environment variables for the JVM."""
    variables = aws_variables(endpoint) | {
        "JVM_ARGS": f"{JVM_OPTIONS} {os.environ.get('JVM_ARGS', '')}".rstrip(),
        "FLINK_LOG_DIR": str(paths.log.parent.resolve()),
        "LOG4J_PROPERTIES": f"file:{LOG4J}",
        # An embedded Python looks for packages beside the first `python3` on the PATH. Where that is another's it would
        # not find what embeds it, and Flink would start the job again and again: so the PYTHONPATH names them too.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # A team's folds are looked for where one stands, by the Pythons of the job, too.
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(Path.cwd()), _site_packages()))),
    }
    if archive_place.is_in_s3(archive_path):
        variables["FLINK_PLUGINS_DIR"] = str(PLUGINS)
    if metrics_port is not None:
        # The one variable that PyFlink puts on the class path of Flink itself.
        variables["HADOOP_CLASSPATH"] = os.pathsep.join([str(_REPORTER), *map(str, _prometheus_jars())])
    return variables


def _site_packages() -> str:
    return sysconfig.get_path("platlib")


def aws_variables(endpoint: str | None) -> dict[str, str]:
    """Environment variables for AWS's SDKs; emulators speak JSON, not the binary form that those prefer."""
    variables = {"AWS_JAVA_V1_DISABLE_DEPRECATION_ANNOUNCEMENT": "true"}
    return variables if endpoint is None else variables | {"AWS_CBOR_DISABLE": "1", "CBOR_ENABLED": "false"}


def execution_mode(wanted: str) -> tuple[str, str | None]:
    """The Python execution mode to use, and one line saying why if it is not `wanted`."""
    if wanted == "thread" and not _can_embed_python():
        return "process", (
            "python.execution-mode is process: this Python has no shared libpython to load into the JVM "
            "(build it with --enable-shared to use thread)."
        )
    return wanted, None


def _can_embed_python() -> bool:
    from find_libpython import find_libpython

    return find_libpython() is not None


def configuration(
    job: JobSettings, mode: str, paths: Paths, resume: Path | None, rest_port: int, *, leaves_rest: bool = False
) -> dict[str, str]:
    """Flink's options for a local run; with the defaults of a real cluster a broken job would be retried for ever.

    With `leaves_rest` the job begins without the state in `resume` that no operator of this build takes.
    """
    if not checkout.JAR.is_file():
        raise JobError(f"{checkout.JAR} is missing: run `make setup` to build it.")
    options = {
        "pipeline.jars": checkout.JAR.as_uri(),
        "pipeline.name": "telefold-telemetry",
        "pipeline.object-reuse": "true",
        "pipeline.auto-watermark-interval": "200 ms",
        "python.execution-mode": mode,
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "parallelism.default": str(job.parallelism),
        **checkpoint_times(job),
        **kept_on_disk(paths.checkpoints),
        "io.tmp.dirs": str(paths.scratch.resolve()),
        "taskmanager.memory.managed.size": "512 mb",
        "restart-strategy.type": "failure-rate",
        "restart-strategy.failure-rate.max-failures-per-interval": str(_MAX_FAILURES),
        "restart-strategy.failure-rate.failure-rate-interval": "5 min",
        "restart-strategy.failure-rate.delay": "1 s",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": str(rest_port),
        "rest.bind-port": str(rest_port),
        "metrics.fetcher.update-interval": "1000",
        "web.timeout": "10000",
    }
    if resume is not None:
        options["execution.state-recovery.path"] = resume.resolve().as_uri()
        options["execution.state-recovery.ignore-unclaimed-state"] = str(leaves_rest).lower()
    return options


def checkpoint_times(job: JobSettings) -> dict[str, str]:
    """Flink's options for how often a checkpoint is taken."""
    return {
        "execution.checkpointing.interval": f"{job.checkpoint_interval_ms} ms",
        "execution.checkpointing.min-pause": f"{job.checkpoint_interval_ms // 4} ms",
    }


def kept_on_disk(checkpoints: Path) -> dict[str, str]:
    """Flink's options for state in RocksDB and checkpoints that outlive their job."""
    return {
        "execution.checkpointing.dir": checkpoints.resolve().as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # A task may still build on the checkpoint before the last; with only one kept its files would be gone, and no
        # checkpoint would complete any more ("Attempt to reference unknown state").
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.tolerable-failed-checkpoints": str(2**31 - 1),
        "state.backend.type": "rocksdb",
        "state.backend.rocksdb.use-bloom-filter": "true",
        "state.backend.rocksdb.compression.per.level": "NO_COMPRESSION",
    }


def s3_options(archive_path: str | None) -> dict[str, str]:
    """Flink's options for S3, if the archive is there; credentials are found as the AWS SDKs find them."""
    if not archive_place.is_in_s3(archive_path):
        return {}
    options = {_S3_CREDENTIALS: "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"}
    if endpoint := archive_place.s3_endpoint():
        options |= {"s3.endpoint": endpoint, "s3.path.style.access": "true"}
        if keys := aws.emulator_keys(endpoint):
            options |= {
                _S3_CREDENTIALS: "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
                "s3.access-key": keys["aws_access_key_id"],
                "s3.secret-key": keys["aws_secret_access_key"],
            }
    return options


def metrics_options(port: int | None) -> dict[str, str]:
    """Flink's options for all its metrics, for Prometheus, at `/metrics` of a port of 127.0.0.1, if one is wanted."""
    if port is None:
        return {}
    return {
        "metrics.reporters": "prometheus",
        "metrics.reporter.prometheus.factory.class": "org.apache.flink.metrics.prometheus.LoopbackReporterFactory",
        "metrics.reporter.prometheus.port": str(port),
    }


def check_metrics(port: int | None) -> None:
    """Raise JobError unless the metrics can be shown at `port`."""
    if port is None:
        return
    if not (_REPORTER / ".ready").is_file():
        raise JobError(f"What shows metrics to Prometheus is not in {_REPORTER}: run `make setup` to build it.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else one that was used a moment ago looks taken
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise JobError(f"Port {port} of 127.0.0.1 cannot be used: give --metrics-port another.") from None


def _prometheus_jars() -> list[Path]:
    import pyflink

    return list(Path(pyflink.__path__[0]).glob("plugins/metrics-prometheus/*.jar"))


def has_s3(plugins: Path) -> bool:
    """Whether Flink's file system for S3 is in this folder of plugins."""
    return any(plugins.glob("s3-fs-hadoop/*.jar"))


def check_s3() -> None:
    """Raise JobError unless Flink's file system for S3, which a cluster would bring, is there."""
    if not has_s3(PLUGINS):
        raise JobError(
            f"telefold.archive/path is in S3, but Flink's file system for S3 is not in {PLUGINS}:"
            " run `make setup` to fetch it, or set the path to a folder."
        )


def create(options: dict[str, str]) -> Any:
    """A StreamExecutionEnvironment with `options`; the JVM must be running."""
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - not as threads of this process
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    from telefold.edge import java

    flink = Configuration()
    for key, value in options.items():
        flink.set_string(key, value)
    if _S3_CREDENTIALS in options:
        java.load_file_systems(flink)
    made = StreamExecutionEnvironment.get_execution_environment(flink)
    java.let_all_connections_find_the_jar()
    return made
