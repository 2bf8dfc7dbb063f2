"""The streams and the table of the local stack, as the deployment templates make them on AWS."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

REGION = "us-east-1"
EVENT_STREAM, DEAD_LETTER_STREAM = "telemetry", "telemetry-dead-letters"
RULES_STREAM, ALERT_STREAM = "telemetry-rules", "telemetry-alerts"
SHARDS = {EVENT_STREAM: 4, DEAD_LETTER_STREAM: 1, RULES_STREAM: 1, ALERT_STREAM: 1}
VIEWS_TABLE = "telefold-views"


def create_streams(kinesis: "KinesisClient") -> None:
    """Create those streams that are missing, and wait until they take records."""
    present = set(kinesis.list_streams()["StreamNames"])
    for name, shards in SHARDS.items():
        if name not in present:
            kinesis.create_stream(StreamName=name, ShardCount=shards)
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})


def create_views_table(dynamodb: "DynamoDBClient", name: str = VIEWS_TABLE) -> None:
    """Create the table of the views unless it is there."""
    if name in dynamodb.list_tables()["TableNames"]:
        return
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
