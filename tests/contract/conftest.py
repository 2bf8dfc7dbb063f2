from collections.abc import Iterator
from typing import Any

import pytest

from connectors import aws
from deploy.local.tables import REGION


@pytest.fixture
def client(kinesis_endpoint: str) -> Iterator[Any]:
    """A client of the local Kinesis."""
    made = aws.client("kinesis", REGION, kinesis_endpoint)
    yield made
    made.close()
