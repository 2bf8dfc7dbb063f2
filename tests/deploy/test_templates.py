"""What the templates for AWS promise, beyond what their linters see."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from telefold.deploy import checkout
from telefold.deploy.local import tables
from telefold.deploy.managed import environments
from telefold.jobs.settings import _GROUPS, Settings, parse
from tests.support.aws.environments import ENVIRONMENTS, FROM_DEPLOY, TEMPLATES, application, groups, of_type, template
from tests.support.aws.templates import Resolved
from tests.support.documents import RUNBOOK
from tests.support.stand_in import stand_in


def settings(environment: str, **parameters: str) -> Settings:
    return parse(groups(application(environment, **parameters)))


def test_there_are_three_environments() -> None:
    assert {"dev", "prod", "staging"} <= set(ENVIRONMENTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_properties_of_an_environment_are_settings(environment: str) -> None:
    found = settings(environment)
    parameters = application(environment).parameters
    assert found.source.region == "us-east-1"
    assert found.job.name == f"telefold-{environment}"
    assert found.source.name.endswith(tables.EVENT_STREAM)
    assert found.dead_letter.name.endswith(tables.DEAD_LETTER_STREAM)
    assert found.views.dynamodb_table.endswith(tables.VIEWS_TABLE)
    assert found.views.redis_url.startswith("rediss://")
    assert found.views.redis_secret
    assert found.archive.path
    assert ",".join(found.job.rollup_sizes) == parameters["RollupSizes"]


def test_folds_are_settings_where_there_are_any() -> None:
    assert settings("dev", Folds="device,presence").job.folds == ("device", "presence")
    assert settings("dev").job.folds == ()


NOT_FOR_MANAGED_FLINK = {
    "telefold.source": {"aws.endpoint", "aws.region", "init.position", "stream.name"},
    "telefold.job": {"checkpoint.interval", "parallelism", "python.execution-mode"},
    "telefold.views": {"dynamodb.endpoint"},
    "telefold.dead-letter": {"stream.name"},
}
"""Where the events are is told by an ARN; the rest are the service's own settings."""


SINCE = "2026-12-01T09:55:00Z"


def known(group: str) -> set[str]:
    fields = _GROUPS[group].model_fields.items()
    return {field.alias or name for name, field in fields}


@pytest.mark.parametrize("group", _GROUPS)
def test_a_property_can_be_set_on_managed_flink_too(group: str) -> None:
    given = groups(application("dev", Folds="device", GroupRollups="site", FanOutConsumer="telefold", ReadSince=SINCE))[
        group
    ]
    assert known(group) == given.keys() | NOT_FOR_MANAGED_FLINK.get(group, set())


def test_an_environment_that_says_nothing_has_the_defaults_of_the_job() -> None:
    required = {"Environment": "dev", "Parallelism": "1"}
    found = parse(groups(Resolved(template(environments.APPLICATION_TEMPLATE), FROM_DEPLOY | required)))
    named_here = {"name", "stream_arn", "stream_name", "aws_region", "dynamodb_table", "redis_url", "redis_secret"}
    for mine in (found.source, found.job, found.views):
        for name, field in type(mine).model_fields.items():
            if name not in named_here:
                assert getattr(mine, name) == field.default, name


def test_the_settings_that_are_given_reach_the_job() -> None:
    given = {
        "GroupRollups": "site,model",
        "RollupLateness": "2h",
        "DedupHorizon": "3h",
        "StateRetention": "2d",
        "DeviceRetention": "30d",
        "FlushSize": "5000",
        "LatestRetention": "10d",
        "FanOutConsumer": "telefold",
        "DespiteHoles": "true",
        "ReadSince": SINCE,
    }
    found = settings("dev", **given)
    hour, day = 3_600_000, 86_400_000
    assert found.job.group_rollups == ("site", "model")
    assert (found.job.rollup_lateness_ms, found.job.dedup_horizon_ms) == (2 * hour, 3 * hour)
    assert (found.job.state_retention_ms, found.job.device_retention_ms) == (2 * day, 30 * day)
    assert (found.job.flush_size, found.views.retention_latest_s) == (5_000, 10 * 86_400)
    assert (found.source.consumer, found.source.consumer_name) == ("EFO", "telefold")
    assert (found.source.init_position, found.source.init_timestamp) == ("AT_TIMESTAMP", datetime.fromisoformat(SINCE))
    assert found.archive.despite_holes


def test_the_runbook_asks_for_settings_that_there_are() -> None:
    """A parameter is a word of two humps in quotes that is no alarm and no metric; a property has a dot."""
    text, found = RUNBOOK.read_text("utf-8"), template(environments.APPLICATION_TEMPLATE)
    parameters, properties = found["Parameters"].keys(), set().union(*map(known, _GROUPS))
    asked = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", text))
    metrics = {"IncomingBytes", "IncomingRecords", "StoreRefused"}
    assert asked - parameters - found["Resources"].keys() - metrics == set()
    dotted = set(re.findall(r"`([a-z]+\.[a-z]+(?:\.[a-z]+)*)`", text))
    assert dotted - properties == set()
    assert not [
        one for one in dotted if not any(one in known(g) - NOT_FOR_MANAGED_FLINK.get(g, set()) for g in _GROUPS)
    ]


def test_a_table_takes_more_from_its_first_minute_on_if_told() -> None:
    (warm,) = [one for one in application("dev", TableWarmWrites="30000").resources.values() if "Dynamo" in one["Type"]]
    assert warm["Properties"]["WarmThroughput"] == {"WriteUnitsPerSecond": "30000"}
    (table,) = of_type("AWS::DynamoDB::Table")
    assert "WarmThroughput" not in table["Properties"]


def test_the_properties_fit_what_managed_flink_takes() -> None:
    found = groups(application("prod", Folds="device"))
    assert len(found) <= 50
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{1,50}", name) and 0 < len(values) <= 50 for name, values in found.items())
    texts = [text for values in found.values() for pair in values.items() for text in pair]
    assert all(0 < len(text) <= 2_048 for text in texts)


def test_the_run_options_name_what_is_in_the_package() -> None:
    assert groups(application())["kinesis.analytics.flink.run.options"] == {
        "python": "main.py",
        "jarfile": "lib/pyflink-dependencies.jar",
        "pyFiles": "dep/",
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_names_are_those_that_deploys_look_for(environment: str) -> None:
    site = environments.load(environment)
    resolved = application(environment)
    artifacts = Resolved(template(environments.ARTIFACTS_TEMPLATE), {"Environment": environment})
    assert resolved.resources["Application"]["Properties"]["ApplicationName"] == site.application
    assert {"ArtifactBucket", "ArtifactKeyArn"} <= artifacts.outputs.keys()
    assert len(artifacts.outputs["ArtifactBucket"]) <= 63
    assert resolved.outputs["EventStream"].endswith("telemetry")
    assert resolved.outputs["JobLogs"] == f"/aws/kinesis-analytics/{site.application}"


def test_streams_are_those_of_the_local_stack_and_those_of_alerts() -> None:
    names = {one["Properties"]["Name"] for one in of_type("AWS::Kinesis::Stream")}
    assert names == {
        f"dev-{tables.EVENT_STREAM}",
        f"dev-{tables.DEAD_LETTER_STREAM}",
        "dev-telemetry-alerts",
        "dev-telemetry-rules",
    }


def test_the_table_is_that_of_the_local_stack_and_cannot_be_lost() -> None:
    class Recorded:
        def __init__(self) -> None:
            self.made: dict[str, Any] = {}

        def list_tables(self) -> dict[str, list[str]]:
            return {"TableNames": []}

        def create_table(self, **table: Any) -> None:
            self.made |= table

        def update_time_to_live(self, TableName: str, TimeToLiveSpecification: Any) -> None:  # noqa: N803
            self.made["TimeToLiveSpecification"] = TimeToLiveSpecification

    local = Recorded()
    tables.create_views_table(stand_in(local))
    (table,) = of_type("AWS::DynamoDB::Table")
    ours = table["Properties"]
    assert {key: ours[key] for key in local.made if key != "TableName"} == {
        key: value for key, value in local.made.items() if key != "TableName"
    }
    assert ours["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert ours["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_holds_data_outlives_its_stack(path: Path) -> None:
    kinds = {"AWS::DynamoDB::Table", "AWS::Kinesis::Stream", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket"}
    for name, one in template(path)["Resources"].items():
        if one["Type"] in kinds:
            assert one["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert one["UpdateReplacePolicy"] == "Retain", name


def test_the_application_is_what_was_argued() -> None:
    properties = application().resources["Application"]["Properties"]
    configuration = properties["ApplicationConfiguration"]
    flink = configuration["FlinkApplicationConfiguration"]
    assert properties["RuntimeEnvironment"] == "FLINK-2_2"
    assert {one["ConfigurationType"] for one in flink.values()} == {"CUSTOM"}
    assert configuration["ApplicationSnapshotConfiguration"] == {"SnapshotsEnabled": True}
    assert configuration["ApplicationSystemRollbackConfiguration"] == {"RollbackEnabled": True}
    assert configuration["VpcConfigurations"][0]["SecurityGroupIds"]


def restored(**given: str) -> dict[str, Any]:
    running = application("dev", **given).resources["Application"]["Properties"]["RunConfiguration"]
    return dict(running["FlinkRunConfiguration"])


def test_state_that_nobody_takes_is_left_only_if_told() -> None:
    assert restored() == {"AllowNonRestoredState": "false"}
    assert restored(AllowNonRestoredState="true") == {"AllowNonRestoredState": "true"}


def test_redis_is_reached_by_tls_and_with_a_password_alone() -> None:
    (redis,) = of_type("AWS::ElastiCache::ReplicationGroup")
    ours = redis["Properties"]
    assert ours["TransitEncryptionEnabled"] is True
    assert ours["TransitEncryptionMode"] == "required"
    assert ours["AuthToken"].startswith("{{resolve:secretsmanager:")


def test_the_linters_are_pinned_without_addresses() -> None:
    lines = (checkout.TEMPLATES / "lint-requirements.txt").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines)
    assert {"cfn-lint", "checkov"} <= {line.partition("==")[0] for line in lines}
