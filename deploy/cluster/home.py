"""A Flink distribution made of what pip installed: its own configuration and logs, and jars that are only linked to."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from ruamel.yaml import YAML

from telefold.connectors import archive_place
from telefold.deploy.minicluster.environment import LOG4J, PLUGINS, check_s3, has_s3
from telefold.schemas.errors import JobError

_OF_PROCESSES, _OF_CLIENT = "log4j-console.properties", "log4j-cli.properties"


def make(home: Path, options: Mapping[str, str], archive_path: str | None) -> None:
    """Lay out `home` anew, with `options` as its configuration; logs of before stay.

    Flink's file system for S3 is there if the archive is: each process that has it takes a second longer to start.
    Raises JobError if it cannot be.

    What runs Python is on the class path of Flink itself. As a part of each job its classes would be loaded anew with
    each, and a job that has ended leaves its classes behind.
    """
    flink = _installed()
    for folder in ("bin", "lib", "opt", "plugins", "conf"):
        shutil.rmtree(home / folder, ignore_errors=True)
        (home / folder).mkdir(parents=True)
    (home / "log").mkdir(exist_ok=True)
    for script in (flink / "bin").iterdir():
        shutil.copy(script, home / "bin" / script.name)
        os.chmod(home / "bin" / script.name, 0o755)
    for folder in ("lib", "opt"):
        _link((flink / folder).iterdir(), home / folder)
    _link((flink / "opt").glob("flink-python-*.jar"), home / "lib")
    _link((flink / "plugins").glob("*/"), home / "plugins")
    if archive_place.is_in_s3(archive_path):
        check_s3()
        _link(PLUGINS.glob("*/"), home / "plugins")
    _configure(flink, home / "conf", {**options, **_java_options(flink)})


def check_archive(home: Path, archive_path: str | None) -> None:
    """Raise JobError if the archive is in S3, and Flink's file system for it not in a cluster of `home`."""
    if archive_place.is_in_s3(archive_path) and not has_s3(home / "plugins"):
        raise JobError(
            f"telefold.archive/path is {archive_path}, and the cluster has no file system for S3, which is loaded when"
            " it starts: run `telefold cluster down`, then `telefold cluster up`."
        )


def _installed() -> Path:
    found = find_spec("pyflink")
    if found is None or found.origin is None:
        raise JobError("apache-flink is not installed: run `make setup`.")
    return Path(found.origin).parent


def _link(paths: Iterable[Path], folder: Path) -> None:
    for path in paths:
        (folder / path.name).symlink_to(path.resolve())


def _java_options(flink: Path) -> dict[str, str]:
    """JVM options that open to Flink what it needs of Java 17, as Flink's own configuration has them."""
    shipped = YAML(typ="safe").load(flink / "conf" / "config.yaml")
    return {"env.java.opts.all": str(shipped["env"]["java"]["opts"]["all"])}


def _configure(flink: Path, folder: Path, options: Mapping[str, str]) -> None:
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in sorted(options.items())]
    (folder / "config.yaml").write_text("".join(lines), "utf-8")
    shutil.copy(LOG4J, folder / _OF_PROCESSES)
    shutil.copy(flink / "conf" / _OF_CLIENT, folder / _OF_CLIENT)
