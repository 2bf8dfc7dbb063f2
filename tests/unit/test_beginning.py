"""Where a job begins that was told to begin at the latest: once resolved, at that time for ever."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from telefold.connectors import event_log
from telefold.connectors.memory import MemoryViews
from telefold.jobs import beginning, settings, stores
from telefold.jobs.beginning import as_begun, resolved
from telefold.jobs.settings import Settings
from tests.support.properties import set_properties

AT = 1_795_900_000_000
GROUPS = {
    "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1", "init.position": "LATEST"},
    "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1:2"},
    "telefold.dead-letter": {"stream.name": "dead"},
}


@pytest.fixture
def latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    table = MemoryViews()
    monkeypatch.setattr(stores, "open_bookkeeping_reader", lambda _: table)
    monkeypatch.setattr(stores, "open_bookkeeping_writer", lambda _: table)
    monkeypatch.setattr(event_log, "present", lambda kinesis, stream: AT)
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    set_properties(path, GROUPS)
    return settings.load(path)


def test_a_job_that_goes_on_from_a_checkpoint_is_told_the_time_at_which_it_began(latest: Settings) -> None:
    began = resolved(latest).source
    assert (began.init_position, began.init_timestamp) == ("AT_TIMESTAMP", datetime.fromtimestamp(AT / 1_000, UTC))
    assert as_begun(latest).source == began


def test_a_job_that_goes_on_records_no_time(latest: Settings) -> None:
    assert as_begun(latest) == latest
    assert beginning.begins_at(latest) == 0


def test_other_beginnings_stay_as_they_are(latest: Settings) -> None:
    resolved(latest)
    source = latest.source.model_copy(update={"init_position": "TRIM_HORIZON"})
    oldest = latest._replace(source=source)
    assert as_begun(oldest) == resolved(oldest) == oldest
