"""Real servers for the tests that ask for them: started once a session, on free ports of 127.0.0.1, ended with it.

Kinesis, DynamoDB and Redis are processes, or with --containers they are containers.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
import redis
from moto.server import ThreadedMotoServer
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from telefold.connectors import aws
from telefold.deploy.local import servers, tables
from telefold.deploy.local.tables import REGION
from telefold.deploy.processes import stop

# A job of a test is over before the JVM's second compiler has paid for itself.
os.environ["JVM_ARGS"] = f"{os.environ.get('JVM_ARGS', '')} -XX:TieredStopAtLevel=1".lstrip()
# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("telefold", deadline=None)
hypothesis.settings.load_profile("telefold")

Serve = Callable[[servers.Server], AbstractContextManager[str]]
"""Starts a server for as long as a `with` block lasts, which gets its URL."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--containers", action="store_true", help="run Kinesis, DynamoDB and Redis in containers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest begins first. What is only there
    for containers is left out without them.
    """
    if not config.getoption("--containers"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("containers")])
        items[:] = [item for item in items if not item.get_closest_marker("containers")]
    items.sort(key=lambda item: "cluster" not in item.path.parts)


class _ByFileAndJob(LoadFileScheduling):
    """The files whose tests share the one live job of `tests/flink` go to one worker, or each worker would start it."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "the live job" if Path(file).name.startswith("test_live_") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _ByFileAndJob(config, log)


@pytest.fixture(scope="session")
def server_logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("servers")


@contextmanager
def _in_process(server: servers.Server, logs: Path) -> Iterator[str]:
    process = servers.start(server, logs)
    yield servers.url(server.name, server.port)
    stop(process)


@pytest.fixture(scope="session")
def serve(pytestconfig: pytest.Config, server_logs: Path) -> Iterator[Serve]:
    if pytestconfig.getoption("--containers"):
        from tests.containers import served

        with served.network() as network:
            yield partial(served.in_container, network=network)
    else:
        yield partial(_in_process, logs=server_logs)


@pytest.fixture(scope="session")
def kinesis_endpoint(serve: Serve) -> Iterator[str]:
    """Kinesis without a stream; name yours freshly."""
    with serve(servers.kinesis(servers.free_port())) as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_endpoint(serve: Serve) -> Iterator[str]:
    """DynamoDB without a table; see `views_table`."""
    with serve(servers.dynamodb(servers.free_port())) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(serve: Serve) -> Iterator[str]:
    with serve(servers.redis(servers.free_port())) as url:
        yield url


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
    """Redis, emptied for this test: at once, as memory that is freed in the background would be measured by one."""
    with redis.Redis.from_url(redis_server) as client:
        client.execute_command("FLUSHALL", "SYNC")
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
