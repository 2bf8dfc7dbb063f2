"""`telefold destroy` on an emulated AWS: what goes, what stays, and each way to be broken off."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from telefold.deploy.managed import teardown
from telefold.deploy.managed.releases import Record
from telefold.deploy.managed.stacks import StackFailed
from tests.support.aws.application import Behaviour
from tests.support.aws.cloud import Cloud, serving
from tests.support.deploys import Interruption, Team
from tests.support.run_command import Run, command_runner

STREAMS = {f"dev-telemetry{suffix}" for suffix in ("", "-dead-letters", "-alerts", "-rules")}
TABLE = "dev-telefold-views"
ARCHIVE = "telefold-dev-archive-123456789012-us-east-1"
PACKAGES = "telefold-dev-artifacts-123456789012-us-east-1"
LOGS = "/aws/kinesis-analytics/telefold-dev"


@pytest.fixture
def team(team: Team, cloud: Cloud) -> Team:
    """One whose job runs and whose archive has files, deleted ones too."""
    team.deploys("one")
    cloud.clients().s3.put_object(Bucket=ARCHIVE, Key="telemetry/a", Body=b"first")
    cloud.clients().s3.put_object(Bucket=ARCHIVE, Key="telemetry/a", Body=b"second")
    cloud.clients().s3.delete_object(Bucket=ARCHIVE, Key="telemetry/a")
    return team


@pytest.fixture
def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return command_runner(cloud, monkeypatch, capsys)


def holders(cloud: Cloud) -> set[str]:
    """What holds data in this account."""
    clients = cloud.clients()
    buckets = {one["Name"] for one in clients.s3.list_buckets()["Buckets"]}
    groups = {one["logGroupName"] for one in clients.logs.describe_log_groups()["logGroups"]}
    streams, tables = clients.kinesis.list_streams()["StreamNames"], clients.dynamodb.list_tables()["TableNames"]
    return {*buckets, *groups, *streams, *tables}


def keys(cloud: Cloud) -> dict[str, str]:
    """The state of each key."""
    kms = cloud.clients().kms
    found = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    return {one["KeyId"]: one["KeyState"] for one in found}


def test_the_job_goes_and_the_data_stays(team: Team) -> None:
    before = holders(team.cloud)
    done = teardown.destroy(team.site(), delete_data=False)
    assert done.is_needed
    assert holders(team.cloud) == before >= {*STREAMS, TABLE, ARCHIVE, PACKAGES, LOGS}
    assert not team.cloud.flink.applications
    assert set(team.cloud.stacks.stacks) == {"telefold-dev-artifacts"}
    assert list(keys(team.cloud).values()) == ["Enabled", "Enabled"]


def test_with_its_data_nothing_is_left(team: Team) -> None:
    teardown.destroy(team.site(), delete_data=True)
    assert holders(team.cloud) == set()
    assert not team.cloud.flink.applications
    assert not team.cloud.stacks.stacks
    assert list(keys(team.cloud).values()) == ["PendingDeletion", "PendingDeletion"]


def test_each_step_is_told(team: Team) -> None:
    team.said.clear()
    teardown.destroy(team.site(), delete_data=True)
    said = "\n".join(team.said)
    for name in (*STREAMS, TABLE, ARCHIVE, PACKAGES, LOGS):
        assert f"deleting {name} " in said
    assert said.index("stopping the application") < said.index("deleting dev-telemetry ")
    assert said.index(f"deleting {LOGS}") < said.index("stack telefold-dev: deleting")


def test_a_second_time_there_is_nothing_to_do(team: Team) -> None:
    teardown.destroy(team.site(), delete_data=True)
    assert not teardown.destroy(team.site(), delete_data=True).is_needed
    assert not teardown.destroy(team.site(), delete_data=False).is_needed


def test_a_plan_changes_nothing(team: Team) -> None:
    before, job = holders(team.cloud), team.job
    planned = teardown.plan(team.site(), delete_data=True)
    assert planned.stacks == ("telefold-dev", "telefold-dev-artifacts")
    assert {part.name for part in planned.data} == before | keys(team.cloud).keys()
    assert (holders(team.cloud), team.job) == (before, job)


def test_what_existed_before_is_not_touched(cloud: Cloud, tmp_path: Path) -> None:
    team = Team(cloud, tmp_path)
    cloud.clients().kinesis.create_stream(StreamName="plant-events", ShardCount=1)
    team.sets(ExistingEventStream="plant-events")
    cloud.stream_of["telefold-dev"] = "plant-events"
    team.deploys("one")
    teardown.destroy(team.site(), delete_data=True)
    assert holders(cloud) == {"plant-events"}


@pytest.mark.parametrize("behaviour", [Behaviour.LOOPS, Behaviour.SILENT])
def test_a_job_that_does_not_work_goes_too(team: Team, behaviour: Behaviour) -> None:
    team.job.behaviour = behaviour
    teardown.destroy(team.site(), delete_data=False)
    assert not team.cloud.flink.applications


def test_what_cloudformation_cannot_delete_is_told_and_can_be_repeated(team: Team) -> None:
    team.cloud.stacks.fails["JobSecurityGroup"] = "resource sg-1 has a dependent object"
    with pytest.raises(StackFailed, match=r"DELETE_FAILED: JobSecurityGroup: resource sg-1 has a dependent object"):
        teardown.destroy(team.site(), delete_data=True)
    teardown.destroy(team.site(), delete_data=True)
    assert not team.cloud.stacks.stacks
    assert holders(team.cloud) == set()


def test_after_its_data_went_the_environment_can_be_deployed_anew(team: Team) -> None:
    teardown.destroy(team.site(), delete_data=True)
    team.deploys("two")
    assert team.runs("two")
    assert team.job.restored_from is None


def test_the_record_of_releases_begins_anew(team: Team) -> None:
    """There is no snapshot any more that a rollback could go back to."""
    teardown.destroy(team.site(), delete_data=False)
    assert team.record == Record()


@pytest.mark.parametrize("delete_data", [False, True], ids=["data stays", "data goes"])
def test_broken_off_anywhere_the_same_command_goes_on(s3_endpoint: str, tmp_path: Path, delete_data: bool) -> None:
    number = 0
    while True:
        number += 1
        with serving(s3_endpoint) as cloud:
            team = Team(cloud, tmp_path)
            team.deploys("one")
            interruption = Interruption(cloud, number)
            try:
                teardown.destroy(team.site(interruption.clients), delete_data=delete_data)
            except KeyboardInterrupt:
                teardown.destroy(team.site(), delete_data=delete_data)
            assert "telefold-dev" not in cloud.stacks.stacks, f"broken off after request {number}"
            assert (holders(cloud) == set()) is delete_data
            if not interruption.happened:
                break
    assert number > 2


def test_what_aws_refuses_ends_it(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    site = team.site()

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DeleteStream")

    monkeypatch.setattr(site.clients.kinesis, "delete_stream", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        teardown.destroy(site, delete_data=True)
    assert "telefold-dev" in team.cloud.stacks.stacks


def test_the_command_asks_for_the_name(run: Run, team: Team) -> None:
    code, _, err = run("destroy", "--env", "dev", typed="prod\n")
    assert code == 1
    assert "Nothing was deleted" in err
    assert "stack telefold-dev goes" in err
    assert TABLE in err
    assert team.runs("one")
    code, out, err = run("destroy", "--env", "dev", typed="dev\n")
    assert code == 0, err
    assert "environment dev is taken down" in out
    assert TABLE in out


def test_where_nobody_can_type_nothing_is_deleted(run: Run, team: Team) -> None:
    code, _, err = run("destroy", "--env", "dev", "--delete-data", typed="")
    assert code == 1
    assert "--yes" in err
    assert team.runs("one")


def test_unasked_it_goes_on(run: Run, team: Team) -> None:
    code, out, err = run("destroy", "--env", "dev", "--yes", "--delete-data")
    assert code == 0, err
    assert "in 30 days" in out
    assert holders(team.cloud) == set()
    assert "nothing of environment dev" in run("destroy", "--env", "dev", "--yes")[1]


def test_broken_off_it_says_how_to_go_on(run: Run, team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(team.cloud.clock, "sleep", interrupt)
    code, _, err = run("destroy", "--env", "dev", "--yes")
    assert code == 130
    assert "`telefold destroy --env dev` goes on" in err
