"""The stream that changes of rules are published to for the running job."""

from typing import TYPE_CHECKING

from telefold.connectors import event_log
from telefold.schemas.errors import SettingsError
from telefold.schemas.rules import RuleChange, encode_change

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient


class KinesisRules:
    """Changes of rules as records of a Kinesis stream, one after the other for each rule.

    It owns `client`. A `stream` of None is one that the settings do not name: nothing can be published then.
    """

    def __init__(self, client: "KinesisClient", stream: str | None) -> None:
        self._client = client
        self._stream = stream

    def check(self) -> None:
        """Raise SettingsError or MissingStream unless there is a stream to publish to."""
        event_log.check_stream(self._client, self._named())

    def tell(self, change: RuleChange) -> None:
        """Append `change`; StreamError if that cannot be done."""
        event_log.append(self._client, self._named(), [event_log.NewRecord(encode_change(change), change.rule)])

    def close(self) -> None:
        self._client.close()

    def _named(self) -> str:
        if self._stream is None:
            raise SettingsError(["telefold.alerts/rules.stream.name is missing: set it to the stream of rules."])
        return self._stream
