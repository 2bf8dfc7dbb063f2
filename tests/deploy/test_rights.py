"""Who may do what on AWS: the job by its role and by the endpoints of its network, producers, and whoever deploys."""

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import cfnlint
import pytest

from telefold.deploy import checkout
from telefold.deploy.managed import deployment, teardown
from telefold.deploy.managed.status import status
from telefold.schemas.errors import DeployError
from tests.support.aws.application import Behaviour
from tests.support.aws.cloud import serving
from tests.support.aws.environments import TEMPLATES, application, statements, template
from tests.support.aws.templates import ACCOUNT, REGION, Resolved
from tests.support.deploys import Team

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


def test_the_job_may_do_what_its_stores_ask_for() -> None:
    """`connectors.dynamodb`, and `connectors.dynamodb_scan` where Redis is filled again."""
    asked = {"DescribeTable", "GetItem", "PartiQLInsert", "PartiQLUpdate", "Query", "Scan"}
    assert {right.action for right in role(application()) if right.service == "dynamodb"} == {
        f"dynamodb:{action}" for action in asked
    }


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


RIGHTS = checkout.TEMPLATES / "rights"
LARGEST_POLICY = 6_144
"""Characters of a managed policy, white space left out."""
NOT_OURS = {
    "firehose",  # of the logs of WAF
    "s3tables",  # of metadata tables of buckets
    "vpc-lattice",
    "vpce",
}
NOT_NEEDED = {
    "ec2:AssociateSubnetCidrBlock": "IPv6",
    "ec2:CreateVpcEncryptionControl": "not asked for",
    "ec2:DescribeVpcEncryptionControls": "not asked for",
    "ec2:DisassociateSubnetCidrBlock": "IPv6",
    "ec2:ModifyVpcTenancy": "not asked for",
    "elasticache:CreateSnapshot": "views come back from the table",
    "iam:AttachGroupPolicy": "the policy of producers is for others to attach",
    "iam:AttachRolePolicy": "likewise",
    "iam:AttachUserPolicy": "likewise",
    "iam:DetachGroupPolicy": "likewise",
    "iam:DetachRolePolicy": "likewise",
    "iam:DetachUserPolicy": "likewise",
    "iam:DeleteRolePermissionsBoundary": "not asked for",
    "iam:PutRolePermissionsBoundary": "not asked for",
    "kms:ScheduleKeyDeletion": "keys outlive their stack",
}


def policy(name: str) -> list[Right]:
    return list(rights(json.loads((RIGHTS / f"{name}.json").read_text("utf-8"))))


def may(action: str, allowed: list[Right]) -> bool:
    return any(fnmatchcase(action, one.action) for one in allowed)


def handlers(kind: str) -> set[str]:
    """What CloudFormation does, with the rights of whoever asks for it, to make, change and delete such a resource."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas"
    files = json.loads((schemas / "providers" / "us-east-1.json").read_text("utf-8"))
    schema = json.loads((schemas / "resources" / f"{files[kind]}.json").read_text("utf-8"))
    return {one for name, does in schema.get("handlers", {}).items() if name != "list" for one in does["permissions"]}


KINDS = sorted({one["Type"] for path in TEMPLATES for one in template(path)["Resources"].values()})


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_deploys_may_make_all_that_is_in_the_templates(kind: str) -> None:
    allowed = [*policy("stacks"), *policy("commands")]
    asked = {one for one in handlers(kind) if one.partition(":")[0] not in NOT_OURS} - NOT_NEEDED.keys()
    assert {one for one in asked if not may(one, allowed)} == set()


@pytest.mark.parametrize("path", sorted(RIGHTS.glob("*.json")), ids=lambda path: path.stem)
def test_rights_fit_a_policy_and_hand_the_role_to_the_job_alone(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(re.sub(r"\s", "", text)) <= LARGEST_POLICY
    for statement in statements(json.loads(text)):
        assert "*" not in listed(statement["Action"])
        assert not {"iam:*", "ec2:*", "kms:*"} & set(listed(statement["Action"]))
        if "iam:PassRole" in listed(statement["Action"]):
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "kinesisanalytics.amazonaws.com"}}


ACTIONS = {"HeadObject": ["GetObject", "ListBucket"], "HeadBucket": ["ListBucket"]}
"""The rights that a call needs, where they are not named like it."""
ACTIONS |= {"ListObjectVersions": ["ListBucketVersions"], "DeleteObjects": ["DeleteObject", "DeleteObjectVersion"]}
PREFIXES = {"kinesisanalyticsv2": "kinesisanalytics", "monitoring": "cloudwatch"}


@pytest.mark.parametrize("delete_data", [False, True], ids=["data stays", "data goes"])
def test_the_commands_call_what_their_rights_allow(s3_endpoint: str, tmp_path: Path, delete_data: bool) -> None:
    called: set[str] = set()

    def record(model: Any, **_: Any) -> None:
        service = str(model.service_model.endpoint_prefix)
        names = ACTIONS.get(model.name, [model.name])
        called.update(f"{PREFIXES.get(service, service)}:{name}" for name in names)

    with serving(s3_endpoint) as cloud:
        team, clients = Team(cloud, tmp_path), cloud.clients(alone=True)
        for client in clients:
            client.meta.events.register("after-call", record)
        deployment.plan(team.site(clients), team.package("one"))
        team.deploys("one", clients=clients)
        with pytest.raises(DeployError):
            team.deploys("two", Behaviour.LOOPS, clients)
        team.deploys("three", clients=clients)
        team.rolls_back(clients)
        deployment.snapshot(team.site(clients))
        status(team.site(clients))
        teardown.destroy(team.site(clients), delete_data=delete_data)
    allowed = [*policy("commands"), *(policy("delete-data") if delete_data else [])]
    assert len(called) > 20
    assert {one for one in called if not may(one, allowed)} == set()
    assert delete_data or {right.action for right in allowed} - called <= {"kms:Decrypt", "kms:GenerateDataKey"}
