"""What the templates for AWS promise, beyond what their linters see."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy.local import tables
from deploy.managed import environments, health
from jobs.settings import _GROUPS, Settings, parse
from tests.support.aws.templates import Resolved, read

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
TEMPLATES = [environments.ARTIFACTS_TEMPLATE, environments.APPLICATION_TEMPLATE]
ENVIRONMENTS = sorted(path.stem for path in (environments.TEMPLATES / "environments").glob("*.json"))
FROM_DEPLOY = {"ArtifactBucket": "artifacts", "ArtifactKeyArn": "arn:aws:kms:x:1:key/k", "CodeKey": "code/abc.zip"}

MAY_HAVE_WILDCARDS = {
    "AccountAdministersKey",
    "AlarmsEncrypt",
    "ConnectWithNetwork",
    "FanOutOfThisEnvironment",
    "FetchPackage",
    "FindLogGroup",
    "FindLogStream",
    "HandOverInterfaces",
    "LogsEncrypt",
    "PasswordOfRedis",
    "ReadEventsByFanOut",
    "SeeNetwork",
    "StreamsOfThisEnvironment",
    "TableOfThisEnvironment",
    "TlsOnly",
    "WriteArchive",
}
"""Each says why in the comment before it."""


@cache
def template(path: Path) -> dict[str, Any]:
    return read(path.read_text("utf-8"))


def statements(part: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement in a part of a template, wherever it is."""
    if isinstance(part, dict):
        if "Effect" in part:
            yield part
        for value in part.values():
            yield from statements(value)
    elif isinstance(part, list):
        for value in part:
            yield from statements(value)


def comments(text: str) -> dict[str, str]:
    """The comment right before each statement, or the condition that it is under, by its Sid."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\s+- Sid: (\w+)", line):
            found[match[1]] = " ".join(above)
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
        elif not re.fullmatch(r"\s+- (!If|[A-Z]\w+)", line):
            above = []
    return found


def wildcards(statement: dict[str, Any]) -> list[str]:
    """The parts of a statement that name more than one thing."""
    found = []
    for part in ("Action", "NotAction", "Resource", "NotResource", "Principal"):
        if "*" in json.dumps(statement.get(part, "")):
            found.append(part)
    return found


def application(environment: str = "dev", **parameters: str) -> Resolved:
    given = environments.load(environment).parameters | FROM_DEPLOY | parameters
    return Resolved(template(environments.APPLICATION_TEMPLATE), given)


def groups(resolved: Resolved) -> dict[str, dict[str, str]]:
    configuration = resolved.resources["Application"]["Properties"]["ApplicationConfiguration"]
    return {
        one["PropertyGroupId"]: one["PropertyMap"] for one in configuration["EnvironmentProperties"]["PropertyGroups"]
    }


def settings(environment: str, **parameters: str) -> Settings:
    return parse(groups(application(environment, **parameters)))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_every_statement_is_argued(path: Path) -> None:
    argued = comments(path.read_text("utf-8"))
    for statement in statements(template(path)):
        assert len(argued[statement["Sid"]].split()) > 5, statement["Sid"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_wildcard_is_a_listed_exception_that_says_why(path: Path) -> None:
    argued = comments(path.read_text("utf-8"))
    for statement in statements(template(path)):
        if wildcards(statement):
            assert statement["Sid"] in MAY_HAVE_WILDCARDS
            assert "Wildcard:" in argued[statement["Sid"]]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_is_allowed_names_each_action(path: Path) -> None:
    for statement in statements(template(path)):
        if statement["Effect"] == "Allow":
            assert not {"Action", "NotAction", "NotResource"} & set(wildcards(statement)), statement["Sid"]


def test_a_wildcard_is_seen() -> None:
    assert wildcards({"Effect": "Allow", "Action": "s3:*", "Resource": ["a", {"Fn::Sub": "${B}/*"}]}) == [
        "Action",
        "Resource",
    ]
    assert not wildcards({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/k"})


def test_there_are_three_environments() -> None:
    assert {"dev", "prod", "staging"} <= set(ENVIRONMENTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_properties_of_an_environment_are_settings(environment: str) -> None:
    found = settings(environment)
    parameters = application(environment).parameters
    assert found.source.region == "us-east-1"
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
    "telefold.source": {"aws.endpoint", "aws.region", "init.position", "init.timestamp", "stream.name"},
    "telefold.job": {"checkpoint.interval", "parallelism", "python.execution-mode"},
    "telefold.views": {"dynamodb.endpoint"},
    "telefold.dead-letter": {"stream.name"},
}
"""Where the events are is told by an ARN, a first job reads them all, and the rest are the service's own settings."""


def known(group: str) -> set[str]:
    fields = _GROUPS[group].model_fields.items()
    return {field.alias or name for name, field in fields}


@pytest.mark.parametrize("group", _GROUPS)
def test_a_property_can_be_set_on_managed_flink_too(group: str) -> None:
    given = groups(application("dev", Folds="device", GroupRollups="site", FanOutConsumer="telefold"))[group]
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
        "MaxOutOfOrderness": "3s",
        "ShardIdle": "4s",
        "FanOutConsumer": "telefold",
        "DespiteHoles": "true",
    }
    found = settings("dev", **given)
    hour, day = 3_600_000, 86_400_000
    assert found.job.group_rollups == ("site", "model")
    assert (found.job.rollup_lateness, found.job.dedup_horizon) == (2 * hour, 3 * hour)
    assert (found.job.state_retention, found.job.device_retention) == (2 * day, 30 * day)
    assert (found.job.flush_size, found.views.retention_latest) == (5_000, 10 * 86_400)
    assert (found.source.max_out_of_orderness, found.source.shard_idle) == (3_000, 4_000)
    assert (found.source.consumer, found.source.consumer_name) == ("EFO", "telefold")
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
    tables.create_views_table(local)
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
    assert properties["RuntimeEnvironment"] == "FLINK-1_20"
    assert {one["ConfigurationType"] for one in flink.values()} == {"CUSTOM"}
    assert configuration["ApplicationSnapshotConfiguration"] == {"SnapshotsEnabled": True}
    assert configuration["ApplicationSystemRollbackConfiguration"] == {"RollbackEnabled": True}
    assert configuration["VpcConfigurations"][0]["SecurityGroupIds"]


def test_redis_is_reached_by_tls_and_with_a_password_alone() -> None:
    (redis,) = of_type("AWS::ElastiCache::ReplicationGroup")
    ours = redis["Properties"]
    assert ours["TransitEncryptionEnabled"] is True
    assert ours["TransitEncryptionMode"] == "required"
    assert ours["AuthToken"].startswith("{{resolve:secretsmanager:")


def alarms() -> dict[str, dict[str, Any]]:
    resources = application().resources
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_has_a_heading_in_the_runbook_and_points_to_it(name: str) -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert headings.count(name) == 1
    alarm = alarms()[name]
    assert alarm["AlarmName"] == f"telefold-dev-{name}"
    assert alarm["AlarmDescription"].strip().endswith(f"See docs/runbook.md, {name}.")
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["id-of-Alarms"]


RESTARTS = {"FLINK-1_20": "fullRestarts", "FLINK-2_2": "numRestarts"}
"""The metric of restarts by runtime: a reader of another one would see none for ever."""


def test_restarts_are_read_where_the_runtime_publishes_them() -> None:
    runtime = application().resources["Application"]["Properties"]["RuntimeEnvironment"]
    readers = [alarms()["JobRestarts"], application().resources["Dashboard"], health._METRICS]
    for reader in readers:
        named = {name for name in RESTARTS.values() if name in json.dumps(reader)}
        assert named == {RESTARTS[runtime]}


@pytest.mark.parametrize(
    ("name", "metric", "percent"),
    [("MemoryHigh", "containerMemoryUtilization", 85), ("DiskHigh", "containerDiskUtilization", 75)],
)
def test_an_alarm_watches_the_whole_container(name: str, metric: str, percent: int) -> None:
    """Python and RocksDB live outside the heap."""
    alarm = alarms()[name]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == (metric, "Maximum", percent)
    assert alarm["Dimensions"] == [{"Name": "Application", "Value": "telefold-dev"}]


def test_the_runbook_has_no_alarm_that_is_not_there() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert set(headings) == set(alarms())


def test_each_alarm_of_the_runbook_says_what_to_do() -> None:
    for section in re.split(r"^### ", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        assert all(f"**{part}**" in section for part in ("Means", "Look", "Do")), section.splitlines()[0]


def test_the_dashboard_shows_every_alarm() -> None:
    body = json.loads(application().resources["Dashboard"]["Properties"]["DashboardBody"])
    (shown,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert len(shown) == len(alarms())
    assert all(widget["width"] <= 24 for widget in body["widgets"])


def test_the_linters_are_pinned_without_addresses() -> None:
    lines = (environments.TEMPLATES / "lint-requirements.txt").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line) for line in lines)
    assert {"cfn-lint", "checkov"} <= {line.partition("==")[0] for line in lines}


def of_type(kind: str) -> list[dict[str, Any]]:
    return [one for one in application().resources.values() if one["Type"] == kind]
