"""The process in which Flink runs Python, which must not outlive its TaskManager."""

import logging
import os
import threading
import time

import psutil

_LOOK_EVERY_S = 2.0
_JVM = "java"

_log = logging.getLogger(__name__)
_watching = threading.Lock()


def end_with_task_manager(every_s: float = _LOOK_EVERY_S) -> None:
    """Watch the TaskManager's JVM from now on, and end this process within `every_s` seconds of it.

    A worker whose TaskManager was killed may wait for its next batch for ever, and would renew the lease of its job for
    as long. Where Python is embedded in the JVM there is nothing to watch. Further calls do nothing.
    """
    jvm = next((parent for parent in psutil.Process().parents() if parent.name() == _JVM), None)
    if jvm is not None and _watching.acquire(blocking=False):
        threading.Thread(target=_watch, args=(jvm, every_s), name="task-manager-watch", daemon=True).start()


def _watch(jvm: psutil.Process, every_s: float) -> None:
    while jvm.is_running() and jvm.status() != psutil.STATUS_ZOMBIE:
        time.sleep(every_s)
    _log.warning("the TaskManager with the pid %d has ended, and so does this Python", jvm.pid)
    os._exit(1)
