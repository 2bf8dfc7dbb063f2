"""The time from which devices are evaluated by rules: the fold `alert` does not know those silent ever since."""

import time
from contextlib import closing

from telefold.connectors.leases import PARTITION
from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.schemas.view_rows import ViewUpdate


def unknown_devices(settings: Settings, generation: int) -> str | None:
    """A warning for the first start with the fold `alert` if a generation of the views has devices already.

    A job that goes on from a checkpoint then knows a device from its next event on; one that folds the log from the
    beginning knows all.
    """
    if not settings.judges_by_rules:
        return None
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        if reader.get(PARTITION, _sort(generation)) is not None:
            return None
    if next(stores.rows_of_devices(settings), None) is None:
        return None
    return (
        "The fold alert is new to these views: rules judge a device that says nothing from its next event on."
        " `telefold rebuild` makes them judge all devices."
    )


def record(settings: Settings, generation: int) -> None:
    """The job of this generation runs from now on with the fold `alert`, or without it, as `settings` say.

    One without it forgets what was recorded: put back, the fold is new again.
    """
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        is_recorded = reader.get(PARTITION, _sort(generation)) is not None
    if is_recorded == settings.judges_by_rules:
        return
    now = time.time_ns() // 1_000_000
    ends_at = now // 1_000 if is_recorded else None
    with closing(stores.open_bookkeeping_writer(settings)) as writer:
        writer.write([ViewUpdate("judging", PARTITION, _sort(generation), now, {"at": now}, ends_at)])


def _sort(generation: int) -> str:
    return f"judging#{generation}"
