"""Fixtures of more than one file of these tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from redis import Redis

from telefold.connectors import aws
from telefold.connectors.generations import GenerationStore
from telefold.deploy.local.tables import REGION
from tests.support.aws.cloud import Cloud, serving
from tests.support.deploys import Team
from tests.support.generation_stores import Place
from tests.support.properties import set_properties
from tests.support.verified_log import Scene
from tests.support.view_stores import OPEN, PARAMETERS, Store

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


@pytest.fixture
def client(kinesis_endpoint: str) -> "Iterator[KinesisClient]":
    """A client of the local Kinesis."""
    made = aws.client("kinesis", REGION, kinesis_endpoint)
    yield made
    made.close()


@pytest.fixture(params=PARAMETERS, ids=str)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store of which every promise is asked, in its turn."""
    name, generation = request.param
    opened = OPEN[name](request, generation)
    yield opened
    opened.writer.close()
    opened.reader.close()


@pytest.fixture
def place(views_table: str, dynamodb_endpoint: str, redis_url: str) -> Place:
    return Place(views_table, dynamodb_endpoint, redis_url)


@pytest.fixture
def generations(place: Place) -> Iterator[GenerationStore]:
    opened = place.generations()
    yield opened
    opened.close()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator["Redis"]:
    """One that reads texts."""
    with Redis.from_url(redis_url, decode_responses=True) as opened:
        yield opened


@pytest.fixture
def stream(client: "KinesisClient") -> Iterator[str]:
    """An event stream of two shards."""
    name = f"events-{uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_stream(StreamName=name)


@pytest.fixture
def scene(
    tmp_path: Path,
    client: "KinesisClient",
    stream: str,
    kinesis_endpoint: str,
    dynamodb_endpoint: str,
    views_table: str,
    redis_url: str,
) -> Scene:
    """A log without a record, an archive without a file, and both stores without a row."""
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    groups = {
        "telefold.source": {"stream.name": stream, "aws.region": REGION, "aws.endpoint": kinesis_endpoint},
        "telefold.views": {
            "dynamodb.table": views_table,
            "dynamodb.endpoint": dynamodb_endpoint,
            "redis.url": redis_url,
        },
        "telefold.dead-letter": {"stream.name": "dead-letters"},
        "telefold.archive": {"path": str(tmp_path / "archive")},
        "telefold.job": {"durable.interval": "0s"},
    }
    set_properties(path, groups)
    return Scene(path, client, stream)


@pytest.fixture
def cloud(s3_endpoint: str) -> Iterator[Cloud]:
    """An emulated AWS."""
    with serving(s3_endpoint) as cloud:
        yield cloud


@pytest.fixture
def team(cloud: Cloud, tmp_path: Path) -> Team:
    return Team(cloud, tmp_path)
