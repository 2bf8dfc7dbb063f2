"""The process in which Flink runs Python, which must not outlive its TaskManager."""

import logging
import os
import threading
import time
from collections.abc import Sequence

import psutil

_LOOK_EVERY_S = 2.0
_JVM = "java"

_log = logging.getLogger(__name__)
_watching = threading.Lock()


def end_with_task_manager(every_s: float = _LOOK_EVERY_S) -> None:
    """Watch the TaskManager and what it started this process by; end within `every_s` seconds of any of them.

    A worker whose TaskManager was killed may wait for its next batch for ever, and would renew the lease of its job for
    as long. So would one whose job has ended, as Flink ends the process that started it. Where Python is embedded in
    the JVM there is nothing to watch. Further calls do nothing.
    """
    parents = psutil.Process().parents()
    jvm = next((place for place, parent in enumerate(parents) if parent.name() == _JVM), None)
    if jvm is not None and _watching.acquire(blocking=False):
        watched = parents[: jvm + 1]
        threading.Thread(target=_watch, args=(watched, every_s), name="task-manager-watch", daemon=True).start()


def _watch(parents: Sequence[psutil.Process], every_s: float) -> None:
    while all(map(_lives, parents)):
        time.sleep(every_s)
    _log.warning("the TaskManager with the pid %d has ended this Python, or ended itself", parents[-1].pid)
    os._exit(1)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
