"""The view stores that the settings name: opened for reading and for writing, and checked before a job starts."""

import json
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from connectors import aws
from jobs.settings import Settings
from schemas.errors import StoreError, StoreRefused
from schemas.generations import FIRST
from schemas.view_rows import device_partition, latest_sort
from schemas.view_stores import ViewReader, ViewWriter

if TYPE_CHECKING:
    from connectors.dynamodb_scan import DynamoDbScan
    from connectors.generations import GenerationStore
    from connectors.leases import LeaseRecord
    from connectors.patience import Patience
    from schemas.leases import Lease

StoreName = Literal["dynamodb", "redis"]
STORES: tuple[StoreName, ...] = get_args(StoreName)


def open_reader(settings: Settings, store: StoreName, generation: int | None = None) -> ViewReader:
    """The reader of one store, which the caller closes; without a `generation` each call reads the current one."""
    if store == "redis":
        from connectors.redis_views import RedisReader

        return RedisReader(settings.views.redis_url, redis_password(settings), generation)
    from connectors.dynamodb import DynamoDbReader

    return DynamoDbReader(*_dynamodb(settings), generation=generation)


def open_writer(settings: Settings, on_retry: Callable[[str], None], generation: int = FIRST) -> ViewWriter:
    """The writer of one generation to both stores, DynamoDB first.

    `on_retry` is told the name of the store that is tried again.
    """
    from connectors.dynamodb import DynamoDbWriter
    from connectors.patience import Patience
    from connectors.redis_views import RedisWriter
    from connectors.view_writer import ViewStores

    return ViewStores(
        {
            "dynamodb": DynamoDbWriter(*_dynamodb(settings), generation=generation),
            "redis": RedisWriter(settings.views.redis_url, redis_password(settings), generation),
        },
        Patience(on_retry=on_retry),
    )


def open_publishing_writer(settings: Settings, on_retry: Callable[[str], None], generation: int = FIRST) -> ViewWriter:
    """As `open_writer`, and what becomes of alerts is told to the outside."""
    from connectors.alerts import ChannelOutlet, Marks, PublishingWriter, StreamOutlet
    from connectors.patience import Patience
    from connectors.redis_views import RedisChannel

    outlets: list[Any] = [ChannelOutlet(RedisChannel(settings.views.redis_url, redis_password(settings)))]
    if settings.alerts.stream is not None:
        kinesis = aws.client("kinesis", settings.source.region, settings.source.endpoint)
        outlets.append(StreamOutlet(kinesis, settings.alerts.stream))
    marks = Marks(open_bookkeeping_reader(settings), open_bookkeeping_writer(settings))
    return PublishingWriter(open_writer(settings, on_retry, generation), marks, outlets, Patience(on_retry=on_retry))


def open_cache_writer(settings: Settings, generation: int, patience: "Patience") -> ViewWriter:
    """The writer of one generation to Redis alone."""
    from connectors.redis_views import RedisWriter
    from connectors.view_writer import ViewStores

    redis = RedisWriter(settings.views.redis_url, redis_password(settings), generation)
    return ViewStores({"redis": redis}, patience)


def open_scan(settings: Settings) -> "DynamoDbScan":
    """Of all rows that the table holds; the caller closes it."""
    from connectors.dynamodb_scan import DynamoDbScan

    return DynamoDbScan(*_dynamodb(settings))


def partitions(settings: Settings, store: StoreName, generation: int) -> set[str]:
    """Every partition of a generation of which one store has rows: a scan of it."""
    if store == "redis":
        from connectors.redis_views import RedisReader

        with closing(RedisReader(settings.views.redis_url, redis_password(settings), generation)) as redis:
            return set(redis.partitions(generation))
    with closing(open_scan(settings)) as scan:
        return set(scan.partitions(generation))


def some_readings(settings: Settings, devices: int) -> dict[str, dict[str, float]]:
    """The newest reading of each metric of some devices, as readers see them in Redis."""
    from connectors.redis_views import RedisReader

    with closing(open_generations(settings)) as store:
        generation = store.load().current
    with closing(RedisReader(settings.views.redis_url, redis_password(settings), generation)) as redis:
        names = (name for name in redis.partitions(generation) if name.startswith(device_partition("")))
        return {
            name.removeprefix(device_partition("")): {
                row.sort.removeprefix(latest_sort("")): float(row.data["value"])
                for row in redis.range(name, latest_sort(""))
            }
            for name in islice(names, devices)
        }


def open_bookkeeping_reader(settings: Settings) -> ViewReader:
    """Of rows of the durable store that are of no generation, in partitions that begin with `telefold#`."""
    from connectors.dynamodb import DynamoDbReader

    return DynamoDbReader(*_dynamodb(settings), generation=FIRST)


def open_bookkeeping_writer(settings: Settings) -> ViewWriter:
    """Of those rows. It waits for nothing: its StoreUnavailable is the caller's."""
    from connectors.dynamodb import DynamoDbWriter

    return DynamoDbWriter(*_dynamodb(settings), connections=4)


def open_lease(settings: Settings) -> "LeaseRecord":
    """Where it is recorded which live job holds the views; the caller closes it."""
    from connectors.leases import LeaseRecord

    return LeaseRecord(open_bookkeeping_reader(settings), open_bookkeeping_writer(settings))


def open_leased_writer(
    settings: Settings,
    on_retry: Callable[[str], None],
    generation: int,
    lease: "Lease",
) -> ViewWriter:
    """The writer of the live job, which holds `lease`."""
    from connectors.leases import LeasedWriter

    opened = open_publishing_writer if settings.judges_by_rules else open_writer
    return LeasedWriter(opened(settings, on_retry, generation), open_lease(settings), lease)


def open_generations(settings: Settings) -> "GenerationStore":
    """Where the generations of the views are recorded; the caller closes it."""
    from connectors.generations import GenerationStore

    return GenerationStore(*_dynamodb(settings), settings.views.redis_url, redis_password(settings))


def check_dynamodb(settings: Settings) -> None:
    """Raise a StoreError saying what to do unless the table can be used."""
    from connectors.dynamodb import DynamoDbWriter

    _check(DynamoDbWriter(*_dynamodb(settings)))


def check_redis(settings: Settings) -> None:
    """Raise a StoreError saying what to do unless Redis answers us."""
    from connectors.redis_views import RedisWriter

    _check(RedisWriter(settings.views.redis_url, redis_password(settings)))


def eviction(settings: Settings) -> str | None:
    """A warning if Redis is set to drop rows when it is full; None if it keeps them, or does not tell."""
    from connectors.redis_views import RedisWriter

    with closing(RedisWriter(settings.views.redis_url, redis_password(settings))) as redis, suppress(StoreError):
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


def _dynamodb(settings: Settings) -> tuple[str, str, str | None]:
    return settings.views.dynamodb_table, settings.views_region, settings.views.dynamodb_endpoint


def _check(store: Any) -> None:
    try:
        store.check()
    finally:
        store.close()
