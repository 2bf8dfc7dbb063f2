"""Records, once a run on this machine has a checkpoint, that rules evaluate the devices of its views."""

import logging
from collections.abc import Callable

from telefold.deploy.flink_rest import Progress
from telefold.jobs.judging import record
from telefold.jobs.settings import Settings
from telefold.schemas.errors import StoreError

_log = logging.getLogger(__name__)


def recording(settings: Settings, generation: int, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`report`, and at the first checkpoint `record`: a job that never got so far has stored nothing of any device.

    While the store is away it is tried again with each report.
    """
    is_recorded = False

    def record_and_report(progress: Progress) -> None:
        nonlocal is_recorded
        if progress.checkpoint is not None and not is_recorded:
            try:
                record(settings, generation)
                is_recorded = True
            except StoreError as error:
                _log.warning("that rules judge these devices could not be recorded yet: %s", error)
        report(progress)

    return record_and_report
