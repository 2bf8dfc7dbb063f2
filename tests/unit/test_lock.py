from pathlib import Path

import pytest

from telefold.deploy.minicluster.lock import only_run
from telefold.schemas.errors import JobError


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    lock = tmp_path / "telemetry.lock"
    with only_run(lock, "telemetry"), pytest.raises(JobError, match="already runs"), only_run(lock, "telemetry"):
        pass
    with only_run(lock, "telemetry"):
        assert lock.exists()
