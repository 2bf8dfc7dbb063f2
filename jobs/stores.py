"""The stores and the archive that the settings name: opened, and checked before a job starts."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Literal, get_args

from botocore.exceptions import BotoCoreError, ClientError

from telefold.connectors import aws
from telefold.jobs.settings import Settings
from telefold.schemas.errors import SettingsError, StoreError, StoreRefused
from telefold.schemas.generations import FIRST
from telefold.schemas.view_rows import ViewRow, device_partition, is_of_a_device, latest_sort
from telefold.schemas.view_stores import ViewReader, ViewWriter
from telefold.views.both_stores import Behind, BothStores
from telefold.views.packed_reader import PackedReader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from telefold.connectors.archive import Archive
    from telefold.connectors.dynamodb import DynamoDbWriter
    from telefold.connectors.dynamodb_scan import DynamoDbScan
    from telefold.connectors.generations import GenerationStore
    from telefold.connectors.healing import Healing
    from telefold.connectors.leases import LeaseRecord
    from telefold.connectors.packed_mending import RowMender
    from telefold.connectors.redis_views import RedisConnection, RedisMarker
    from telefold.connectors.retry_policy import RetryPolicy
    from telefold.operators.alerts.rule_book import RuleBook
    from telefold.schemas.leases import Lease

StoreName = Literal["dynamodb", "redis"]
STORES: tuple[StoreName, ...] = get_args(StoreName)


def open_reader(settings: Settings, store: StoreName, generation: int | None = None) -> ViewReader:
    """The reader of one store, which the caller closes; without a `generation` each call reads the current one."""
    return PackedReader(_open_item_reader(settings, store, generation))


def open_views_reader(settings: Settings) -> ViewReader:
    """The reader of both stores, which the caller closes: each call has one answer, of the current generation."""
    from telefold.connectors.dynamodb import DynamoDbReader
    from telefold.connectors.redis_views import RedisReader

    job = settings.job
    behind = Behind(job.flush_interval_ms, max(job.flush_interval_ms, job.durable_interval_ms))
    fast, durable = RedisReader(_redis(settings)), DynamoDbReader(_dynamodb(settings), _table(settings))
    return PackedReader(BothStores(fast, durable, settings.views.hot, behind))


def _open_item_reader(settings: Settings, store: StoreName, generation: int | None) -> ViewReader:
    if store == "redis":
        from telefold.connectors.redis_views import RedisReader

        return RedisReader(_redis(settings), generation)
    from telefold.connectors.dynamodb import DynamoDbReader

    return DynamoDbReader(_dynamodb(settings), _table(settings), generation)


def open_writer(
    settings: Settings, on_retry: Callable[[str], None], generation: int = FIRST, *, heals: bool = False
) -> ViewWriter:
    """The writer of one generation to both stores, DynamoDB first.

    `on_retry` is called with the name of the store that is tried again. One that `heals` has Redis filled again once it
    was emptied.
    """
    from telefold.connectors.redis_views import RedisWriter
    from telefold.connectors.retry_policy import RetryPolicy
    from telefold.connectors.view_writer import ViewStores

    return ViewStores(
        {
            "dynamodb": _dynamodb_writer(settings, generation=generation),
            "redis": RedisWriter(_redis(settings), generation, settings.views.hot),
        },
        RetryPolicy(on_retry=on_retry),
        healing=_healing(settings) if heals else None,
    )


def _healing(settings: Settings) -> "Healing":
    from telefold.connectors.healing import Healing

    def fill(stopping: Event) -> int:
        from telefold.jobs.refill import refill

        return refill(settings, stopping=stopping).read

    return Healing(open_marker(settings), fill, settings.job.durable_interval_ms / 1_000)


def open_marker(settings: Settings) -> "RedisMarker":
    """Open the mark that says whether Redis has all that is hot; the caller closes it."""
    from telefold.connectors.redis_views import RedisMarker

    return RedisMarker(_redis(settings))


def open_publishing_writer(
    settings: Settings, on_retry: Callable[[str], None], generation: int = FIRST, *, heals: bool = False
) -> ViewWriter:
    """Open a writer as `open_writer` does, which publishes the transitions of alerts too."""
    from telefold.connectors.alerts import ChannelOutlet, PublishedMarks, PublishingWriter, StreamOutlet
    from telefold.connectors.redis_views import RedisChannel
    from telefold.connectors.retry_policy import RetryPolicy

    outlets: list[Any] = [ChannelOutlet(RedisChannel(_redis(settings)))]
    if settings.alerts.stream is not None:
        kinesis = aws.client("kinesis", settings.source.region, settings.source.endpoint)
        outlets.append(StreamOutlet(kinesis, settings.alerts.stream))
    marks = PublishedMarks(open_bookkeeping_reader(settings), open_bookkeeping_writer(settings))
    writer = open_writer(settings, on_retry, generation, heals=heals)
    return PublishingWriter(writer, marks, outlets, RetryPolicy(on_retry=on_retry))


def open_cache_writer(settings: Settings, generation: int, retry_policy: "RetryPolicy") -> ViewWriter:
    """The writer of what is hot of one generation to Redis alone."""
    from telefold.connectors.redis_views import RedisWriter
    from telefold.connectors.view_writer import ViewStores

    redis = RedisWriter(_redis(settings), generation, settings.views.hot)
    return ViewStores({"redis": redis}, retry_policy)


def open_mender(settings: Settings, store: StoreName, generation: int) -> "RowMender":
    """Open a writer that puts single rows of a generation right in one store, of any version; the caller closes it."""
    from telefold.connectors.mending import DynamoDbMender, RedisMender
    from telefold.connectors.packed_mending import RowMender

    items = _open_item_reader(settings, store, generation)
    if store == "redis":
        return RowMender(RedisMender(_redis(settings), generation, settings.views.hot), items)
    return RowMender(DynamoDbMender(_dynamodb(settings), _table(settings), generation), items)


def open_scan(settings: Settings) -> "DynamoDbScan":
    """Open a scan of all rows that the table holds; the caller closes it."""
    from telefold.connectors.dynamodb_scan import DynamoDbScan

    return DynamoDbScan(_dynamodb(settings), _table(settings))


def partitions(settings: Settings, store: StoreName, generation: int) -> set[str]:
    """Every partition of a generation of which one store has rows: a scan of it."""
    if store == "redis":
        from telefold.connectors.redis_views import RedisReader

        with closing(RedisReader(_redis(settings), generation)) as redis:
            return set(redis.partitions(generation))
    with closing(open_scan(settings)) as scan:
        return set(scan.partitions(generation))


def rows_of_devices(settings: Settings) -> Iterator[tuple[str, list[ViewRow]]]:
    """Each device and its latest values, with its rows `device` and `presence` where it has them, as Redis has them."""
    from telefold.connectors.redis_views import RedisReader

    with closing(open_generations(settings)) as store:
        generation = store.load().current
    with closing(RedisReader(_redis(settings), generation)) as redis:
        rows = PackedReader(redis)
        seen = set[str]()
        for name in redis.partitions(generation):
            if not is_of_a_device(name) or name in seen:
                continue
            seen.add(name)
            others = [row for sort in ("device", "presence") if (row := redis.get(name, sort)) is not None]
            yield name.removeprefix(device_partition("")), rows.range(name, latest_sort("")) + others


def open_archive(settings: Settings) -> "Archive":
    """The archive that the settings name; SettingsError where they name none."""
    from telefold.connectors.archive import Archive

    if settings.archive.path is None:
        raise SettingsError(
            ["telefold.archive/path is not set: set it to where the job keeps its archive, or is to keep one."]
        )
    return Archive(settings.archive.path, region=settings.source.region)


def open_bookkeeping_reader(settings: Settings) -> ViewReader:
    """Open a reader of the durable store's rows of no generation, in partitions that begin with `telefold#`."""
    from telefold.connectors.dynamodb import DynamoDbReader

    return DynamoDbReader(_dynamodb(settings), _table(settings), FIRST)


def open_bookkeeping_writer(settings: Settings) -> ViewWriter:
    """Open a writer of those rows. It waits for nothing: its StoreUnavailable is the caller's."""
    return _dynamodb_writer(settings, connections=4)


def open_rule_book(settings: Settings) -> "RuleBook":
    """The rules of alerts, and the stream that publishes changes; the caller closes it."""
    from telefold.connectors.rule_stream import KinesisRules
    from telefold.operators.alerts.rule_book import RuleBook

    kinesis = aws.client("kinesis", settings.source.region, settings.source.endpoint)
    stream = KinesisRules(kinesis, settings.alerts.rules_stream)
    return RuleBook(open_bookkeeping_reader(settings), open_bookkeeping_writer(settings), stream)


def open_lease(settings: Settings) -> "LeaseRecord":
    """Open the record of which live job holds the views; the caller closes it."""
    from telefold.connectors.leases import LeaseRecord

    return LeaseRecord(open_bookkeeping_reader(settings), open_bookkeeping_writer(settings))


def open_leased_writer(
    settings: Settings,
    on_retry: Callable[[str], None],
    generation: int,
    lease: "Lease",
) -> ViewWriter:
    """The writer of the live job, which holds `lease`."""
    from telefold.connectors.leases import LeasedWriter

    opened = open_publishing_writer if settings.judges_by_rules else open_writer
    return LeasedWriter(opened(settings, on_retry, generation, heals=True), open_lease(settings), lease)


def open_generations(settings: Settings) -> "GenerationStore":
    """Open the record of the generations of the views; the caller closes it."""
    from telefold.connectors.generations import CALLS_AT_ONCE, GenerationStore
    from telefold.connectors.redis_views import RedisGenerations

    client = _dynamodb(settings, connections=CALLS_AT_ONCE)
    return GenerationStore(client, _table(settings), RedisGenerations(_redis(settings)))


def check_dynamodb(settings: Settings) -> None:
    """Raise a StoreError saying what to do unless the table can be used."""
    _check(_dynamodb_writer(settings))


def check_redis(settings: Settings) -> None:
    """Raise a StoreError saying what to do unless Redis answers us."""
    from telefold.connectors.redis_views import RedisWriter

    _check(RedisWriter(_redis(settings)))


def eviction(settings: Settings) -> str | None:
    """A warning if Redis is set to drop rows when it is full; None if it keeps them, or does not say."""
    from telefold.connectors.redis_views import RedisWriter

    with closing(RedisWriter(_redis(settings))) as redis, suppress(StoreError):
        if policy := redis.evicts_by():
            return (
                f"Redis drops rows once its memory is full (maxmemory-policy {policy}), and readers take what is"
                " dropped for what never was: set it to noeviction, and let an alarm tell when memory runs short."
            )
    return None


def redis_password(settings: Settings) -> str | None:
    """The password in the secret that `redis.secret` names: its whole text, or the `password` of a JSON object."""
    secret = settings.views.redis_secret
    if secret is None:
        return None
    try:
        answer = aws.client("secretsmanager", settings.views_region).get_secret_value(SecretId=secret)
    except (ClientError, BotoCoreError) as error:
        raise StoreRefused(
            f"The secret {secret} cannot be read ({error}): check telefold.views/redis.secret and the right to read it."
        ) from error
    return _password_in(str(answer["SecretString"]))


def _password_in(text: str) -> str:
    try:
        return str(json.loads(text)["password"])
    except (ValueError, TypeError, KeyError):
        return text


def _table(settings: Settings) -> str:
    return settings.views.dynamodb_table


def _dynamodb(settings: Settings, connections: int = 10) -> "DynamoDBClient":
    return aws.client("dynamodb", settings.views_region, settings.views.dynamodb_endpoint, connections=connections)


def _dynamodb_writer(settings: Settings, connections: int = 8, generation: int = FIRST) -> "DynamoDbWriter":
    from telefold.connectors.dynamodb import DynamoDbWriter, writer_clients

    clients = writer_clients(settings.views_region, settings.views.dynamodb_endpoint, connections)
    return DynamoDbWriter(clients, _table(settings), generation)


def _redis(settings: Settings) -> "RedisConnection":
    from telefold.connectors.redis_views import connect

    return connect(settings.views.redis_url, redis_password(settings))


def _check(store: Any) -> None:
    try:
        store.check()
    finally:
        store.close()
