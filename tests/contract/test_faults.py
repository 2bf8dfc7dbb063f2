"""The writer behind a proxy that does to it what DynamoDB does now and then: the rows are right all the same."""

import time
from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pytest

from telefold.connectors.retry_policy import RetryPolicy
from telefold.connectors.view_writer import ViewStores
from telefold.schemas.view_rows import ViewUpdate
from tests.support.aws_faults import Act, Faulty, answer_lost, delayed, partly_refused, refused
from tests.support.fault_proxy import Answer, FaultProxy, Forward, Request
from tests.support.open_stores import dynamodb_reader, dynamodb_writer
from tests.support.waiting import PATIENCE_S

ROWS = 30
"""Two calls."""
FAULTS: dict[str, Act] = {
    "throttled": refused("ThrottlingException"),
    "throughput exceeded": refused("ProvisionedThroughputExceededException"),
    "refused in part": partly_refused,
    "answers lost": answer_lost,
    "slow": delayed(0.05),
}


@pytest.fixture
def proxy(dynamodb_endpoint: str) -> Iterator[FaultProxy]:
    with FaultProxy(dynamodb_endpoint) as proxy:
        yield proxy


def _updates(version: int) -> list[ViewUpdate]:
    return [ViewUpdate("latest", "device#d", f"latest#{n:03}", version, {"value": version}, None) for n in range(ROWS)]


@pytest.mark.parametrize("name", FAULTS)
def test_rows_are_right_whatever_became_of_the_calls(
    proxy: FaultProxy, dynamodb_endpoint: str, views_table: str, name: str
) -> None:
    fault = Faulty(FAULTS[name], ["BatchExecuteStatement"], share=0.5, seed=1)
    writer = dynamodb_writer(views_table, proxy.url)
    with closing(ViewStores({"dynamodb": writer}, RetryPolicy(sleep=lambda _: None))) as stores:
        proxy.fault = fault
        for version in (2, 1):
            stores.write(_updates(version))
    with closing(dynamodb_reader(views_table, dynamodb_endpoint)) as reader:
        rows = reader.range("device#d")
    assert [(row.version, row.data["value"]) for row in rows] == [(2, 2)] * ROWS
    assert fault.struck >= 2


def test_what_no_fault_is_made_for_passes(proxy: FaultProxy, views_table: str) -> None:
    proxy.fault = Faulty(answer_lost, ["GetRecords"], share=1)
    with closing(dynamodb_writer(views_table, proxy.url)) as writer:
        writer.check()
        assert writer.write(_updates(1)).written == ROWS


def test_a_server_that_answers_nothing_is_noticed_within_seconds_and_waited_out(
    proxy: FaultProxy, views_table: str, caplog: pytest.LogCaptureFixture
) -> None:
    speaks = Event()
    noticed: list[float] = []

    def silent(request: Request, forward: Forward) -> Answer | None:
        return forward(request) if speaks.wait(PATIENCE_S) else None

    def notice(store: str) -> None:
        noticed.append(time.monotonic() - began)
        speaks.set()

    proxy.fault = silent
    began = time.monotonic()
    writer = dynamodb_writer(views_table, proxy.url)
    with closing(ViewStores({"dynamodb": writer}, RetryPolicy(on_retry=notice))) as stores:
        assert stores.write(_updates(1)).written == ROWS
    assert noticed[0] < 12
    assert caplog.records[0].getMessage().startswith("dynamodb is unavailable")
