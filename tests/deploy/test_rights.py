"""Who may do what on AWS: the job by its role and by the endpoints of its network, producers, and whoever deploys."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest

from tests.deploy.test_templates import application, statements
from tests.support.aws.templates import ACCOUNT, REGION, Resolved

EVERYTHING = {
    "Folds": "device,presence,alert,fleet",
    "FanOutConsumer": "telefold",
}
STREAMS_THAT_EXIST = {
    "ExistingEventStream": "plant-events",
    "ExistingDeadLetterStream": "plant-letters",
    "ExistingTable": "plant-views",
    "ExistingArchiveBucket": "plant-archive",
    "ExistingKeyArns": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/a,arn:aws:kms:{REGION}:{ACCOUNT}:key/b",
}
SERVICES = {"kinesis-streams": "kinesis"}
"""Service of an endpoint -> prefix of its actions, where they differ."""
NOT_BY_THE_JOB = {"ec2", "kms", "logs"}
"""What the service does with the role, or other services on its behalf: not from within the network."""


class Right(NamedTuple):
    action: str
    resource: str

    @property
    def service(self) -> str:
        return self.action.partition(":")[0]

    def is_among(self, rights: Iterable["Right"]) -> bool:
        return any(one.action == self.action and fnmatchcase(self.resource, one.resource) for one in rights)


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def rights(part: Any) -> Iterator[Right]:
    """What the statements in a part of a template allow, one action and one resource each."""
    for statement in statements(part):
        if statement["Effect"] == "Allow" and "Resource" in statement:
            for action in listed(statement["Action"]):
                yield from (Right(action, resource) for resource in listed(statement["Resource"]))


def role(resolved: Resolved) -> list[Right]:
    return list(rights(resolved.resources["JobRole"]["Properties"]["Policies"]))


def endpoints(resolved: Resolved) -> dict[str, Any]:
    """The policy of each endpoint of the network by the service that it leads to; None allows everything."""
    found = [one["Properties"] for one in resolved.resources.values() if one["Type"] == "AWS::EC2::VPCEndpoint"]
    names = [one["ServiceName"].rpartition(".")[2] for one in found]
    return {SERVICES.get(name, name): one.get("PolicyDocument") for name, one in zip(names, found, strict=True)}


VARIANTS = [{}, EVERYTHING, STREAMS_THAT_EXIST, EVERYTHING | STREAMS_THAT_EXIST]
NAMES = ["as it is", "with all of its parts", "over what exists", "all of both"]


@pytest.mark.parametrize("parameters", VARIANTS, ids=NAMES)
def test_what_the_role_may_do_the_endpoints_let_pass(parameters: dict[str, str]) -> None:
    resolved = application(**parameters)
    ways = endpoints(resolved)
    asked = [right for right in role(resolved) if right.service not in NOT_BY_THE_JOB]
    assert len(asked) > 10
    for right in asked:
        assert right.service in ways, f"there is no way to {right.service}"
        policy = ways[right.service]
        assert policy is None or right.is_among(rights(policy)), right


@pytest.mark.parametrize("parameters", VARIANTS, ids=NAMES)
def test_an_endpoint_lets_nothing_pass_that_the_role_may_not_do(parameters: dict[str, str]) -> None:
    resolved = application(**parameters)
    for service, policy in endpoints(resolved).items():
        let = {right.action for right in rights(policy or {})}
        assert let <= {right.action for right in role(resolved)}, service


def test_a_right_that_an_endpoint_lacks_is_seen() -> None:
    assert not Right("dynamodb:Query", "arn:t").is_among([Right("dynamodb:GetItem", "arn:t")])
    assert not Right("dynamodb:Query", "arn:t").is_among([Right("dynamodb:Query", "arn:other")])
    assert Right("s3:GetObject", "arn:b/k").is_among([Right("s3:GetObject", "arn:b/*")])


def test_the_log_stream_is_found_by_a_right_to_the_group() -> None:
    """AWS asks for the group as `log-group:NAME:log-stream:`, with no stream's name behind it."""
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/kinesis-analytics/telefold-dev"
    for asked in (group, f"{group}:log-stream:"):
        assert Right("logs:DescribeLogStreams", asked).is_among(role(application()))
    assert not Right("logs:DescribeLogStreams", f"{group}2:log-stream:").is_among(role(application()))


FAN_OUT = {"DeregisterStreamConsumer", "DescribeStreamConsumer", "RegisterStreamConsumer", "SubscribeToShard"}


@pytest.mark.parametrize("existing", [{}, STREAMS_THAT_EXIST], ids=["its stream", "a stream that exists"])
def test_enhanced_fan_out_comes_with_its_rights_and_polling_without(existing: dict[str, str]) -> None:
    name = existing.get("ExistingEventStream", "dev-telemetry")
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
    fanning, polling = role(application(FanOutConsumer="telefold", **existing)), role(application(**existing))
    for action in FAN_OUT:
        for resource in (stream, f"{stream}/consumer/telefold:1795890000"):
            assert Right(f"kinesis:{action}", resource).is_among(fanning)
            assert not Right(f"kinesis:{action}", resource).is_among(polling)


def test_producers_may_write_and_have_it_encrypted() -> None:
    (policy,) = [
        one["Properties"] for one in application().resources.values() if one["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    found = list(rights(policy))
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/dev-telemetry"
    for action in ("PutRecord", "PutRecords", "DescribeStreamSummary", "ListShards"):
        assert Right(f"kinesis:{action}", stream).is_among(found)
    key = application().resources["EventStream"]["Properties"]["StreamEncryption"]["KeyId"]
    assert Right("kms:GenerateDataKey", key).is_among(found)


def test_the_keys_of_what_exists_are_the_jobs_to_use() -> None:
    keys = STREAMS_THAT_EXIST["ExistingKeyArns"].split(",")
    for key in keys:
        assert Right("kms:Decrypt", key).is_among(role(application(**STREAMS_THAT_EXIST)))
        assert Right("kms:GenerateDataKey", key).is_among(role(application(**STREAMS_THAT_EXIST)))
