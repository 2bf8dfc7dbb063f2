"""Readers and writers of servers of a test, each with connections of its own."""

from telefold.connectors import aws
from telefold.connectors.dynamodb import DynamoDbReader, DynamoDbWriter, writer_clients
from telefold.connectors.generations import CALLS_AT_ONCE, GenerationStore
from telefold.connectors.redis_views import RedisGenerations, RedisReader, RedisWriter, connect
from telefold.deploy.local.tables import REGION
from telefold.schemas.generations import FIRST


def dynamodb_writer(table: str, endpoint: str | None, generation: int = FIRST) -> DynamoDbWriter:
    return DynamoDbWriter(writer_clients(REGION, endpoint), table, generation)


def dynamodb_reader(table: str, endpoint: str | None, generation: int | None = None) -> DynamoDbReader:
    return DynamoDbReader(aws.client("dynamodb", REGION, endpoint), table, generation)


def redis_writer(url: str, password: str | None = None, generation: int = FIRST) -> RedisWriter:
    return RedisWriter(connect(url, password), generation)


def redis_reader(url: str, generation: int | None = None) -> RedisReader:
    return RedisReader(connect(url), generation)


def generation_store(table: str, endpoint: str | None, redis_url: str, patience_s: float) -> GenerationStore:
    client = aws.client("dynamodb", REGION, endpoint, connections=CALLS_AT_ONCE)
    return GenerationStore(client, table, RedisGenerations(connect(redis_url)), patience_s)
