"""What the oracle folds is what `telefold query` and the oracle's comparison read back from the real stores."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.dynamodb import DynamoDbWriter
from connectors.redis_views import RedisWriter
from deploy.local.tables import REGION
from jobs import settings, stores
from jobs.commands import query
from jobs.generator import Spec, generate
from jobs.stores import StoreName
from schemas.log_records import LogRecord
from schemas.view_stores import ViewWriter
from views.oracle import Reckoning, compare, fold, read_rows

HOUR = 3_600_000


@pytest.fixture
def properties(tmp_path: Path, dynamodb_endpoint: str, views_table: str, redis_url: str) -> Path:
    groups = {
        "telefold.source": {"stream.name": "events", "aws.region": REGION},
        "telefold.views": {
            "dynamodb.table": views_table,
            "dynamodb.endpoint": dynamodb_endpoint,
            "redis.url": redis_url,
        },
        "telefold.dead-letter": {"stream.name": "dead-letters"},
    }
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()]))
    return path


@pytest.fixture
def reckoning() -> Reckoning:
    now = time.time_ns() // 1_000_000
    made = generate(Spec(events=600, devices=5, seed=1, duplicates=0.1, out_of_order=0.2), now - HOUR)
    log = [LogRecord(record.data, now, record.partition_key, "s", str(n)) for n, record in enumerate(made)]
    return fold(log, {"1m": 60_000, "1h": HOUR}, HOUR, {"rollups": 86_400})


@pytest.fixture(params=stores.STORES)
def store(request: pytest.FixtureRequest, properties: Path, reckoning: Reckoning) -> StoreName:
    loaded = settings.load(properties).views
    writers: dict[str, Callable[[], ViewWriter]] = {
        "dynamodb": lambda: DynamoDbWriter(loaded.dynamodb_table, REGION, loaded.dynamodb_endpoint),
        "redis": lambda: RedisWriter(loaded.redis_url),
    }
    name: StoreName = request.param
    with closing(writers[name]()) as writer:
        writer.write(list(reckoning.rows.values()))
    return name


def test_a_store_that_was_written_agrees_with_the_oracle(
    properties: Path, store: StoreName, reckoning: Reckoning
) -> None:
    with closing(stores.open_reader(settings.load(properties), store)) as reader:
        assert compare(reckoning.rows, read_rows(reader, reckoning.partitions)) == []


@pytest.mark.parametrize("what", ["device", "latest", "rollups"])
def test_queries_read_what_was_folded(properties: Path, store: StoreName, reckoning: Reckoning, what: str) -> None:
    options = [what, "device-3", "--store", store, "--properties", str(properties), "--json"]
    rows = json.loads(CliRunner().invoke(query.app, options).stdout)["rows"]
    assert rows
    for row in rows:
        folded = reckoning.rows["device#device-3", row["sort"]]
        assert (row["version"], row["expires_at"]) == (folded.version, folded.expires_at)
        assert row["data"] == pytest.approx(folded.data)
    metrics = {sort.split("#")[-1] for (p, sort) in reckoning.rows if p == "device#device-3" and "latest" in sort}
    latest, newest = len(metrics), 2 * len(metrics)
    minutes = sum(p == "device#device-3" and sort.startswith("rollup#1m#") for p, sort in reckoning.rows)
    assert len(rows) == {"device": latest + newest, "latest": latest, "rollups": minutes}[what]
