"""What is told of an environment on an emulated AWS: the plan of a deploy, and its status."""

import pytest

from telefold.deploy.managed import deployment
from telefold.deploy.managed.status import status
from tests.support.aws.application import Behaviour
from tests.support.deploys import Interruption, Team, fails


def test_a_plan_of_a_first_deploy_leaves_nothing_behind(team: Team) -> None:
    planned = deployment.plan(team.site(), team.package("one"))
    changes = planned.stacks["telefold-dev-artifacts"]
    assert changes is not None
    assert {change.resource for change in changes} == {"ArtifactKey", "ArtifactBucket", "ArtifactBucketPolicy"}
    assert planned.stacks["telefold-dev"] is None
    assert planned.uploads
    assert not team.cloud.stacks.stacks
    assert not team.cloud.stacks.change_sets


def test_a_plan_of_an_update_names_what_changes_and_changes_nothing(team: Team) -> None:
    team.deploys("one")
    job, executed = team.job, list(team.cloud.stacks.executed)
    planned = deployment.plan(team.site(), team.package("two"))
    assert planned.stacks["telefold-dev-artifacts"] == []
    assert [change[:3] for change in planned.stacks["telefold-dev"] or ()] == [
        ("Modify", "Application", "AWS::KinesisAnalyticsV2::Application")
    ]
    assert planned.uploads
    assert team.job is job
    assert team.cloud.stacks.executed == executed
    assert not team.cloud.stacks.change_sets
    assert deployment.plan(team.site(), team.package("one")).stacks["telefold-dev"] == []


def test_the_status_says_what_runs_and_whether_it_works(team: Team) -> None:
    nothing = status(team.site())
    assert (nothing.application, nothing.release, nothing.works) == (None, None, False)
    team.deploys("one")
    team.cloud.clock.sleep(120)
    found = status(team.site())
    assert found.works
    assert (found.lag_ms, found.restarts, found.checkpoint_ms) == (200, 0, 900)
    assert found.release == team.record.proven[-1].release.short
    assert found.newest_snapshot == team.record.proven[-1].proof


def test_the_status_tells_of_what_failed_and_what_is_unfinished(team: Team) -> None:
    team.deploys("one")
    fails(team, "two", Behaviour.REFUSED)
    assert any("could not be submitted" in line for line in status(team.site()).failures)
    with pytest.raises(KeyboardInterrupt):
        team.deploys("three", clients=Interruption(team.cloud, 4).clients)
    found = status(team.site())
    assert found.unfinished is not None
    assert not found.works
