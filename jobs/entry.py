"""The job as a cluster starts it: on Managed Service for Apache Flink, or on a cluster of your own.

Who runs the cluster decides where state and checkpoints are, how often they are taken, and the parallelism.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from telefold.jobs import judging, leases, preflight, run_spec, settings, stores
from telefold.jobs.beginning import resolved
from telefold.jobs.settings import Settings
from telefold.jobs.wiring import build_telemetry
from telefold.schemas.errors import SettingsError, TelefoldError
from telefold.schemas.generations import Generations
from telefold.schemas.leases import Holder, Lease

MOUNTED = Path("/etc/flink/application_properties.json")
"""The path at which managed Flink mounts the properties."""
PROPERTIES_VARIABLE = "TELEFOLD_PROPERTIES"
"""The environment variable that names another place."""
JOB_NAME = "telefold-telemetry"
SAYS = "telefold: "
"""The beginning of each line on stderr, which a cluster puts among lines of its own."""
OPTIONS = {"pipeline.object-reuse": "true", "python.execution-mode": "process"}
"""Flink's options that the job sets. Managed Flink refuses from 2.2 on what is not on a list of its own.

Python runs in processes of its own, whatever the settings say of local runs: where a job restarts, Flink lays out the
zip's files anew and removes those of before, and a Python that is embedded in the TaskManager would go on with modules
whose files are gone.
"""


def main() -> None:
    """Hand the job to the cluster and return; what Telefold refuses is a line each, and the exit code is 1."""
    try:
        submit(properties_path(os.environ))
    except TelefoldError as error:
        sys.exit("\n".join(f"{SAYS}{line}" for line in str(error).splitlines()))


def properties_path(variables: Mapping[str, str]) -> Path:
    return Path(variables.get(PROPERTIES_VARIABLE, MOUNTED))


def submit(properties: Path) -> None:
    """Start the live job of the generation of the views that is to be live; does not wait for it."""
    loaded = settings.load(properties)
    preflight.check(loaded, writes_archive=True)
    if warning := stores.eviction(loaded):
        _say(warning)
    lease = _lease(loaded, properties)
    with closing(stores.open_generations(loaded)) as store:
        generations = store.load()
        store.publish(generations)
    if warning := judging.unknown_devices(loaded, generations.live):
        _say(warning)
    _submit(loaded.for_generation(generations, generations.live), generations, lease)


def _lease(loaded: Settings, properties: Path) -> Lease:
    """The one that `telefold submit` has claimed, or else one of an application that is known by its name alone."""
    if claimed := os.environ.get(leases.LEASE_VARIABLE):
        return msgspec.json.decode(claimed, type=Lease)
    return leases.claim(loaded, _application(loaded.job.name, properties), _say)


def _application(name: str | None, properties: Path) -> Holder:
    """The application as holder of the lease: managed Flink's if the properties are where that mounts them.

    Nowhere else does an application's name stand for one job at a time.
    """
    if name is None:
        raise SettingsError(
            ["telefold.job/name is missing: set it to the application's name, which tells others who holds the views."]
        )
    return Holder("managed" if properties == MOUNTED else "application", name)


def _say(line: str) -> None:
    print(f"{SAYS}{line}", file=sys.stderr)


def _submit(loaded: Settings, generations: Generations, lease: Lease) -> None:
    flink = _environment()
    # Whether there is state, the cluster alone knows. What the state holds already is not corrected twice.
    build_telemetry(flink, resolved(loaded), run_spec.live(loaded, generations, resumes=False), lease)
    flink.execute_async(JOB_NAME)
    judging.record(loaded, generations.live)


def _environment() -> Any:
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    options = Configuration()
    for key, value in OPTIONS.items():
        options.set_string(key, value)
    return StreamExecutionEnvironment.get_execution_environment(options)
