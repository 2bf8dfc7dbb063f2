"""An environment over what exists already: a stream, a table, an archive, a network, a Redis, each by its parameter."""

import json
from typing import Any

import pytest

from telefold.jobs.settings import Settings, parse
from tests.support.aws.environments import application, groups
from tests.support.aws.templates import ACCOUNT, REGION, Resolved

STREAM = {"ExistingEventStream": "plant-events"}
LETTERS = {"ExistingDeadLetterStream": "plant-letters"}
TABLE = {"ExistingTable": "plant-views"}
ARCHIVE = {"ExistingArchiveBucket": "plant-archive"}
NETWORK = {"ExistingVpc": "vpc-1", "ExistingSubnetA": "subnet-a", "ExistingSubnetB": "subnet-b"}
REDIS = NETWORK | {
    "ExistingRedisUrl": "rediss://cache.plant:6380",
    "ExistingRedisSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:plant-abc",
    "ExistingRedisSecurityGroup": "sg-1",
}
EVERYTHING = STREAM | LETTERS | TABLE | ARCHIVE | REDIS
MADE = {
    "the stream": (STREAM, {"EventStream"}),
    "the dead-letter stream": (LETTERS, {"DeadLetterStream"}),
    "the table": (TABLE, {"ViewsTable"}),
    "the archive": (ARCHIVE, {"ArchiveBucket", "ArchiveBucketPolicy"}),
    "the network": (
        NETWORK,
        {"EndpointSecurityGroup", "KinesisEndpoint", "Network", "Routes", "RoutesOfSubnetA", "RoutesOfSubnetB"}
        | {"SecretsEndpoint", "StorageEndpoint", "SubnetA", "SubnetB", "TableEndpoint"},
    ),
}
OF_REDIS = {"JobReachesRedis", "ReaderSecurityGroup", "ReadersReachRedis", "Redis", "RedisCpuHigh", "RedisMemoryHigh"}
OF_REDIS |= {"RedisPassword", "RedisSecurityGroup", "RedisSettings", "RedisSubnets"}


def settings(**parameters: str) -> Settings:
    return parse(groups(application(**parameters)))


def properties(resolved: Resolved, name: str) -> Any:
    return resolved.resources[name]["Properties"]


@pytest.mark.parametrize("what", MADE)
def test_what_exists_is_not_made_and_all_else_is(what: str) -> None:
    parameters, of_it = MADE[what]
    assert application().resources.keys() - application(**parameters).resources.keys() == of_it


def test_a_redis_that_exists_is_not_made_nor_watched() -> None:
    beside = application(**NETWORK).resources.keys() - application(**REDIS).resources.keys()
    assert beside == OF_REDIS


def test_the_job_is_told_of_what_exists() -> None:
    found = settings(**EVERYTHING)
    assert (found.source.name, found.source.region) == ("plant-events", REGION)
    assert found.dead_letter.name == "plant-letters"
    assert found.views.dynamodb_table == "plant-views"
    assert found.archive.path == "s3://plant-archive/telemetry"
    assert found.views.redis_url == "rediss://cache.plant:6380"
    assert found.views.redis_secret == REDIS["ExistingRedisSecretArn"]


def test_a_redis_without_a_password_needs_no_secret() -> None:
    parameters = REDIS | {"ExistingRedisSecretArn": ""}
    assert settings(**parameters).views.redis_secret is None
    assert "secretsmanager:GetSecretValue" not in json.dumps(properties(application(**parameters), "JobRole"))


def test_alarms_and_dashboard_watch_what_exists() -> None:
    resolved = application(**EVERYTHING)
    watched = json.dumps([one for one in resolved.resources.values() if one["Type"].startswith("AWS::CloudWatch")])
    for name in ("plant-events", "plant-letters", "plant-views"):
        assert name in watched
    for name in ("dev-telemetry-dead-letters", "dev-telefold-views", "RedisMemoryHigh", "AWS/ElastiCache"):
        assert name not in watched
    json.loads(properties(resolved, "Dashboard")["DashboardBody"])
    assert resolved.outputs["EventStream"] == "plant-events"


def test_the_job_runs_in_the_network_that_exists() -> None:
    resolved = application(**NETWORK)
    (place,) = properties(resolved, "Application")["ApplicationConfiguration"]["VpcConfigurations"]
    assert place["SubnetIds"] == ["subnet-a", "subnet-b"]
    assert properties(resolved, "JobSecurityGroup")["VpcId"] == "vpc-1"
    assert properties(resolved, "RedisSubnets")["SubnetIds"] == ["subnet-a", "subnet-b"]
    role = json.dumps(properties(resolved, "JobRole"))
    assert "subnet/subnet-a" in role
    assert "vpc/vpc-1" in role
    assert "id-of-SubnetA" not in json.dumps(resolved.resources)


def test_a_redis_that_exists_is_reached_at_its_port() -> None:
    resolved = application(**REDIS)
    out, into = properties(resolved, "JobReachesExistingRedis"), properties(resolved, "ExistingRedisLetsJobIn")
    assert {str(one[port]) for one in (out, into) for port in ("FromPort", "ToPort")} == {"6380"}
    assert into["GroupId"] == "sg-1"
    assert into["SourceSecurityGroupId"] == out["GroupId"] == "id-of-JobSecurityGroup"
    assert "ExistingRedisLetsJobIn" not in application(**REDIS | {"ExistingRedisSecurityGroup": ""}).resources


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"ExistingVpc": "vpc-1"}, "ExistingVpc needs ExistingSubnetA"),
        ({"ExistingVpc": "vpc-1", "ExistingSubnetA": "subnet-a"}, "ExistingVpc needs ExistingSubnetB"),
        ({"ExistingRedisUrl": "rediss://cache.plant:6380"}, "ExistingRedisUrl needs ExistingVpc"),
        ({"ExistingRedisUrl": "cache.plant:6380"}, "ExistingRedisUrl"),
        ({"ExistingRedisUrl": "rediss://:secret@cache.plant:6380"}, "ExistingRedisUrl"),
        ({"ExistingKeyArns": "alias/plant"}, "ExistingKeyArns"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_made(parameters: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        application(**parameters)
