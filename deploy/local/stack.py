"""The local stack under one folder: its servers, its streams and table, and the properties file that points at them.

What the servers hold is stored below that folder: they go on with it after `down` and `up`, and after they were killed.
It belongs together, and with the checkpoints of the job and its archive: where the event log was lost or never was,
versions of rows and positions in the log mean nothing, so a new log begins without all of them.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from telefold.connectors import aws
from telefold.deploy.local import properties_file, servers, tables
from telefold.deploy.local.servers import DYNAMODB, KINESIS, REDIS, Server
from telefold.deploy.processes import Process, is_alive, stop
from telefold.schemas.errors import LocalStackError

DEFAULT_ROOT = Path(".telefold")
PROPERTIES_FILE = "application_properties.json"
STATE = ("checkpoints", "cluster/checkpoints", "cluster/savepoints")
"""Folders of what jobs know of the log: of `telefold run`, and of the cluster of this machine."""

_RELEASED_S = 2.0
_MAKERS: dict[str, Callable[..., Server]] = {KINESIS: servers.kinesis, DYNAMODB: servers.dynamodb, REDIS: servers.redis}

Say = Callable[[str], None]
"""A callback for one sentence on each thing that a person should know."""


class Ports(NamedTuple):
    """The ports of the servers; None leaves one where it was, or at its default, or else takes a free one."""

    kinesis: int | None = None
    dynamodb: int | None = None
    redis: int | None = None


DEFAULT_PORTS = Ports(kinesis=14567, dynamodb=18000, redis=16379)
UNCHANGED_PORTS = Ports()


class Status(msgspec.Struct, frozen=True):
    """The addresses at which a stack that is up can be reached."""

    kinesis: str
    dynamodb: str
    redis: str
    region: str
    properties: str


def up(
    root: Path = DEFAULT_ROOT, ports: Ports = UNCHANGED_PORTS, parallelism: int = 1, say: Say = lambda line: None
) -> Status:
    """Start what is not running and create what is missing; a stack that is up stays as it is.

    Servers go on with what they stored. Raises LocalStackError.
    """
    recorded = _load(root)
    alive = {name: process for name, process in recorded.items() if is_alive(process)}
    wanted = _wanted_ports(recorded, ports)
    _check_not_moved(alive, wanted)
    _await_released([process.port for name, process in recorded.items() if name not in alive])
    servers.check_ports({name: port for name, port in ports._asdict().items() if port and name not in alive})
    wanted = _moved(wanted, [name for name, asked in ports._asdict().items() if not asked and name not in alive], say)
    if KINESIS not in alive and not _kept(root, KINESIS).exists():
        _stop_all(root, alive.values())
        alive = {}
        _forget_data(root, say, "it belongs to an event log that is gone")
    if DYNAMODB not in alive and not _kept(root, DYNAMODB).exists():
        _forget_state(root, say, "its rows are gone, so the job folds the event log from its beginning")
    _start_missing(root, alive, wanted, say)
    found = _status(root, alive)
    _prepare(found)
    properties_file.write(Path(found.properties), {name: getattr(found, name) for name in _MAKERS}, parallelism)
    return found


def down(root: Path = DEFAULT_ROOT, say: Say = lambda line: None, delete: bool = False) -> bool:
    """Stop every server of `root`; False if none was running.

    With `delete`, what they stored goes too, and the checkpoints and the archive of the job with it.
    """
    recorded = _load(root)
    running = [process for process in recorded.values() if is_alive(process)]
    _stop_all(root, recorded.values())
    if delete:
        _forget_data(root, say, "as you asked")
    return bool(running)


def keeps_data(root: Path = DEFAULT_ROOT) -> bool:
    """Whether `up` would go on with what an earlier stack held."""
    return _kept(root, KINESIS).exists()


def status(root: Path = DEFAULT_ROOT) -> Status:
    """The addresses of the stack; raises LocalStackError, saying what to run, unless all three servers are running."""
    recorded = _load(root)
    dead = [name for name in _MAKERS if name not in recorded or not is_alive(recorded[name])]
    if len(dead) == len(_MAKERS):
        raise LocalStackError("The local stack is not up: run `telefold local up`.")
    if dead:
        raise LocalStackError(f"The local {' and '.join(dead)} ended: run `telefold local up`.")
    return _status(root, recorded)


class LocalStack:
    """A stack that is up within a `with` block and gone afterwards; on free ports unless some are given."""

    def __init__(self, root: Path, ports: Ports | None = None, parallelism: int = 1) -> None:
        self.root = root
        self._ports = ports
        self._parallelism = parallelism

    def __enter__(self) -> Self:
        ports = self._ports or Ports(*servers.free_ports(len(Ports._fields)))
        try:
            self.status = up(self.root, ports, self._parallelism)
        except BaseException:
            down(self.root, delete=True)
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        down(self.root, delete=True)


def _folder(root: Path) -> Path:
    return root / "local"


def _kept(root: Path, name: str) -> Path:
    """The path below which a server stores what it holds: a file, or for Redis a folder."""
    return _folder(root) / "data" / name


def _state_file(root: Path) -> Path:
    return _folder(root) / "stack.json"


def _load(root: Path) -> dict[str, Process]:
    try:
        return msgspec.json.decode(_state_file(root).read_bytes(), type=dict[str, Process])
    except FileNotFoundError:
        return {}
    except msgspec.DecodeError as error:
        raise LocalStackError(f"{_state_file(root)} is damaged: end the servers it names, then delete it.") from error


def _save(root: Path, processes: Mapping[str, Process]) -> None:
    path = _state_file(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(msgspec.json.encode(processes))
    os.replace(scratch, path)


def _wanted_ports(recorded: Mapping[str, Process], ports: Ports) -> dict[str, int]:
    known = DEFAULT_PORTS._asdict() | {name: process.port for name, process in recorded.items()}
    return {name: asked or known[name] for name, asked in ports._asdict().items()}


def _await_released(ports: Sequence[int]) -> None:
    """The threads of a server that was killed may hold its port for a moment longer than it lives."""
    deadline = time.monotonic() + _RELEASED_S
    while any(map(servers.why_not, ports)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _moved(wanted: dict[str, int], movable: Iterable[str], say: Say) -> dict[str, int]:
    """`wanted`, where whatever is `movable` and cannot have its port has a free one."""
    reasons = {name: reason for name in movable if (reason := servers.why_not(wanted[name]))}
    free = servers.free_ports(len(reasons), besides=wanted.values())
    for (name, reason), port in zip(reasons.items(), free, strict=True):
        say(f"port {wanted[name]} of {name} {reason}: it takes port {port}")
    return wanted | dict(zip(reasons, free, strict=True))


def _check_not_moved(alive: Mapping[str, Process], wanted: Mapping[str, int]) -> None:
    moved = [process for name, process in alive.items() if process.port != wanted[name]]
    if moved:
        sentences = (
            f"The local {process.name} is up on port {process.port}: run `telefold local down` before you move it."
            for process in moved
        )
        raise LocalStackError("\n".join(sentences))


def _start_missing(root: Path, alive: dict[str, Process], wanted: Mapping[str, int], say: Say) -> None:
    """Recorded one by one, so that `down` finds those that had started when another could not."""
    for name, make in _MAKERS.items():
        again = name in alive
        if not again:
            alive[name] = servers.start(make(wanted[name], keep=_kept(root, name)), _folder(root))
            _save(root, alive)
        say(f"{name} is {'already ' if again else ''}up at {servers.url(name, wanted[name])}")


def _stop_all(root: Path, processes: Iterable[Process]) -> None:
    for process in processes:
        stop(process)
    _state_file(root).unlink(missing_ok=True)


def _forget_data(root: Path, say: Say, why: str) -> None:
    _forget(_folder(root) / "data", say, why)
    _forget(root / properties_file.ARCHIVE, say, why)
    _forget_state(root, say, why)


def _forget_state(root: Path, say: Say, why: str) -> None:
    for folder in STATE:
        _forget(root / folder, say, why)


def _forget(folder: Path, say: Say, why: str) -> None:
    if folder.exists():
        shutil.rmtree(folder)
        say(f"removed {folder}: {why}")


def _status(root: Path, processes: Mapping[str, Process]) -> Status:
    urls = {name: servers.url(name, process.port) for name, process in processes.items()}
    return Status(region=tables.REGION, properties=str(root / PROPERTIES_FILE), **urls)


def _prepare(found: Status) -> None:
    with closing(aws.client(KINESIS, found.region, found.kinesis)) as kinesis:
        tables.create_streams(kinesis)
    with closing(aws.client(DYNAMODB, found.region, found.dynamodb)) as dynamodb:
        tables.create_views_table(dynamodb)
