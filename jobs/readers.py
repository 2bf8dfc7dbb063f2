"""Opens the reading side of either view store, as the settings name it."""

from typing import Literal

from connectors import aws
from jobs.settings import Settings
from schemas.view_stores import ViewReader

StoreName = Literal["dynamodb", "redis"]


def open_reader(settings: Settings, store: StoreName) -> ViewReader:
    """The reader of one store; the caller closes it."""
    views = settings.views
    if store == "redis":
        from connectors.redis_views import RedisReader

        return RedisReader(views.redis_url)
    from connectors.dynamodb import DynamoDbReader

    return DynamoDbReader(aws.client("dynamodb", settings.views_region, views.dynamodb_endpoint), views.dynamodb_table)
