"""Files of a cluster of this machine, and how its Flink is configured."""

from pathlib import Path
from typing import NamedTuple

from telefold.deploy.minicluster.environment import kept_on_disk, s3_options

HOST = "127.0.0.1"
DEFAULT_REST_PORT = 18081
SLOTS = 2
"""How many tasks of one kind run in each TaskManager."""


class Paths(NamedTuple):
    """The paths below the `cluster` folder beside the properties file."""

    state: Path
    home: Path
    python: Path
    logs: Path
    checkpoints: Path
    """The folder with one folder for each lineage of state, as has `savepoints`."""
    savepoints: Path
    application: Path
    scratch: Path

    @classmethod
    def below(cls, root: Path) -> "Paths":
        folder = root.resolve() / "cluster"
        return cls(
            state=folder / "cluster.json",
            home=folder / "flink",
            python=folder / "python",
            logs=folder / "flink" / "log",
            checkpoints=folder / "checkpoints",
            savepoints=folder / "savepoints",
            application=folder / "application",
            scratch=folder / "scratch",
        )


class Ports(NamedTuple):
    rest: int
    rpc: int


def options(paths: Paths, ports: Ports, archive_path: str | None) -> dict[str, str]:
    """Flink's options for all processes of the cluster: on 127.0.0.1, and a TaskManager that dies is soon missed.

    How often and where checkpoints are taken comes with each job.
    """
    python = str(paths.python / "bin" / "python")
    return (
        kept_on_disk(paths.checkpoints)  # of a job that nobody submitted with `telefold submit`
        | s3_options(archive_path)
        | {
            "jobmanager.rpc.address": HOST,
            "jobmanager.rpc.port": str(ports.rpc),
            "jobmanager.bind-host": HOST,
            "jobmanager.memory.process.size": "1024m",
            "taskmanager.host": HOST,
            "taskmanager.bind-host": HOST,
            "taskmanager.numberOfTaskSlots": str(SLOTS),
            "taskmanager.memory.process.size": "1984m",
            # A job that has ended leaves some 27 MB of classes in each: room for a dozen.
            "taskmanager.memory.jvm-metaspace.size": "512m",
            "taskmanager.load-balance.mode": "SLOTS",
            "rest.address": HOST,
            "rest.bind-address": HOST,
            "rest.port": str(ports.rest),
            "rest.bind-port": str(ports.rest),
            "web.submit.enable": "false",
            # Flink's own is ten seconds: a TaskManager that looked too early would be missing for that long.
            "cluster.registration.error-delay": "500 ms",
            # They start, do little and, the client, end: compiling well what they run takes longer than running it.
            "env.java.opts.jobmanager": "-XX:TieredStopAtLevel=1",
            "env.java.opts.client": "-XX:TieredStopAtLevel=1",
            "heartbeat.interval": "500",
            "heartbeat.timeout": "10000",
            "metrics.fetcher.update-interval": "1000",
            # A task goes back to the TaskManager where it ran, which has its state and its classes at hand.
            "execution.state-recovery.from-local": "true",
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.max-backoff": "10 s",
            # Flink's own is an hour: a second failure in that time would wait as long as the last of many.
            "restart-strategy.exponential-delay.reset-backoff-threshold": "20 s",
            "execution.checkpointing.savepoint-dir": paths.savepoints.as_uri(),
            "io.tmp.dirs": str(paths.scratch),
            "python.executable": python,
            "python.client.executable": python,
        }
    )
