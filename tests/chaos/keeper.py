"""What an operations team would do: whatever has ended is started again, with the commands that they have."""

import threading
from collections.abc import Callable
from contextlib import suppress

from telefold.schemas.errors import TelefoldError
from tests.chaos.commands import CommandFailed
from tests.chaos.system import TASK_MANAGERS, System

_LOOK_EVERY_S = 0.2


class Keeper:
    """Within a `with` block the cluster is completed and the job submitted, again and again until it works.

    `working` is held while it does so; hold it to do something with the job yourself. While `may_submit` is not set
    the job is not started.
    """

    def __init__(self, system: System, say: Callable[[str], None]) -> None:
        self._system = system
        self._say = say
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep)
        self.working = threading.Lock()
        self.may_submit = threading.Event()
        self.may_submit.set()

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._done.wait(_LOOK_EVERY_S):
            with self.working:
                try:
                    self._mend()
                except CommandFailed as error:
                    self._say(f"tried again: {error}")

    def _mend(self) -> None:
        """The job first, if there is room for it."""
        if self._system.has_room() and self.may_submit.is_set() and not self._job_is_there():
            self._run(f"submit --parallelism {self._system.parallelism}")
            self._say("the job was submitted")
        elif not self._system.is_complete():
            self._run(f"cluster up --task-managers {TASK_MANAGERS} --rest-port {self._system.rest_port}")

    def _run(self, line: str) -> None:
        self._system.command(line, self._done.is_set)

    def _job_is_there(self) -> bool:
        """True while nobody can say."""
        with suppress(TelefoldError, OSError):
            return bool(self._system.api.jobs())
        return True
