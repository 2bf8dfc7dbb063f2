"""A job that runs for all tests here that want one, with short intervals, on a local stack of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from telefold.deploy.local.stack import LocalStack
from tests.support.live_job import LiveJob


@pytest.fixture(scope="session")
def live_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveJob]:
    with LocalStack(tmp_path_factory.mktemp("live") / "telefold", parallelism=2) as stack:
        live = LiveJob(Path(stack.status.properties))
        try:
            live.start()
            yield live
            assert live.job.stop() == 0, live.job.output()
        finally:
            live.job.end()
