"""Who takes part in the benchmark of the view stores' writers."""

from collections.abc import Callable
from typing import NamedTuple

from bench.writers.naive import ConditionalPuts, ScriptCalls
from bench.writers.work import Work
from telefold.connectors.dynamodb import DynamoDbWriter, writer_clients
from telefold.connectors.memory import MemoryViews
from telefold.connectors.redis_views import RedisWriter, connect
from telefold.connectors.view_writer import ViewStores
from telefold.deploy.local.tables import REGION, VIEWS_TABLE
from telefold.schemas.view_stores import ViewWriter


class Contender(NamedTuple):
    name: str
    title: str
    connect: Callable[[Work], ViewWriter]
    is_naive: bool = False
    """Gets fewer rows."""


DYNAMODB, PUTS, REDIS, SCRIPTS, MEMORY = "dynamodb", "dynamodb-naive", "redis", "redis-naive", "memory"
CONTENDERS = (
    Contender(
        DYNAMODB,
        "DynamoDB: Telefold",
        lambda work: ViewStores({DYNAMODB: DynamoDbWriter(writer_clients(REGION, work.dynamodb), VIEWS_TABLE)}),
    ),
    Contender(
        PUTS,
        "DynamoDB: a PutItem a row",
        lambda work: ConditionalPuts(VIEWS_TABLE, REGION, work.dynamodb),
        is_naive=True,
    ),
    Contender(REDIS, "Redis: Telefold", lambda work: ViewStores({REDIS: RedisWriter(connect(work.redis))})),
    Contender(SCRIPTS, "Redis: a script a row", lambda work: ScriptCalls(work.redis), is_naive=True),
    Contender(MEMORY, "memory", lambda work: MemoryViews()),
)
