"""Real servers for the tests that ask for them: started once a session, on free ports of 127.0.0.1, ended with it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from moto.server import ThreadedMotoServer

from connectors import aws
from deploy.local import servers, tables
from deploy.local.tables import REGION


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, the tests of a file stay together, and what takes longest begins first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path)))
    items.sort(key=lambda item: "cluster" not in item.path.parts)


@pytest.fixture(scope="session")
def server_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


def _serve(server: servers.Server, logs: Path) -> Iterator[str]:
    process = servers.start(server, logs)
    yield servers.url(server.name, server.port)
    servers.stop(process)


@pytest.fixture(scope="session")
def kinesis_endpoint(server_logs: Path) -> Iterator[str]:
    """Kinesis without a stream; name yours freshly."""
    yield from _serve(servers.kinesis(servers.free_port()), server_logs)


@pytest.fixture(scope="session")
def dynamodb_endpoint(server_logs: Path) -> Iterator[str]:
    """DynamoDB without a table; see `views_table`."""
    yield from _serve(servers.dynamodb(servers.free_port()), server_logs)


@pytest.fixture(scope="session")
def redis_server(server_logs: Path) -> Iterator[str]:
    yield from _serve(servers.redis(servers.free_port()), server_logs)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """S3 without a bucket; delete yours."""
    server = ThreadedMotoServer(servers.HOST, servers.free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Redis, emptied for this test."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture
def views_table(dynamodb_endpoint: str) -> Iterator[str]:
    """The name of an empty views table of this test alone."""
    client = aws.client("dynamodb", REGION, dynamodb_endpoint)
    name = f"views-{uuid4().hex[:8]}"
    tables.create_views_table(client, name)
    yield name
    client.delete_table(TableName=name)
    client.close()
