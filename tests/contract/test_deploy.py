"""Deploys to an emulated AWS, by the real clients: each path, and each way to be broken off."""

from collections.abc import Callable
from pathlib import Path

import pytest

from telefold.deploy.managed import deployment
from telefold.schemas.errors import DeployError
from tests.support.aws.application import Behaviour
from tests.support.aws.cloud import serving
from tests.support.deploys import Interruption, Team, fails

BROKEN = [Behaviour.REFUSED, Behaviour.SILENT, Behaviour.LOOPS, Behaviour.LAGS, Behaviour.ENDS]
CAUSES = {
    Behaviour.REFUSED: "the job could not be submitted: cannot import name 'fold'",
    Behaviour.SILENT: "ModuleNotFoundError: No module named 'telefold'",
    Behaviour.LOOPS: "StoreRefused: DynamoDB denies access",
    Behaviour.LAGS: "a lag that falls",
    Behaviour.ENDS: "READY again",
}


def test_a_first_deploy_makes_everything_and_starts_a_job_without_state(team: Team) -> None:
    done = team.deploys("one")
    assert team.runs("one")
    assert done.changed
    assert done.snapshot in team.snapshot_names()
    assert team.job.restored_from is None
    assert team.cloud.stacks.executed == ["telefold-dev-artifacts", "telefold-dev"]


def test_the_same_deploy_again_touches_nothing(team: Team) -> None:
    team.deploys("one")
    job, snapshots, executed = team.job, team.snapshot_names(), list(team.cloud.stacks.executed)
    assert not team.deploys("one").changed
    assert team.job is job
    assert (team.snapshot_names(), team.cloud.stacks.executed) == (snapshots, executed)


def test_an_update_goes_on_where_the_job_was(team: Team) -> None:
    team.deploys("one")
    team.deploys("two")
    assert team.runs("two")
    assert team.job.restored_from is not None
    before = team.record.proven[-1].before
    assert before in team.snapshot_names()
    assert before is not None
    assert before.startswith("before-")


def test_a_changed_setting_alone_is_an_update_too(team: Team) -> None:
    team.deploys("one")
    team.sets(FlushInterval="5s")
    team.deploys("one")
    assert team.runs("one")
    assert (
        team.application.properties["ApplicationConfiguration"]["EnvironmentProperties"]["PropertyGroups"][2][
            "PropertyMap"
        ]["flush.interval"]
        == "5s"
    )
    assert len(team.record.proven) == 2


def test_a_job_far_behind_that_catches_up_works(team: Team) -> None:
    team.deploys("one", Behaviour.CATCHES_UP)
    assert team.runs("one")


@pytest.mark.parametrize("notices", [True, False], ids=["the stack fails too", "the stack says nothing"])
@pytest.mark.parametrize("behaviour", BROKEN)
def test_an_update_that_does_not_work_is_undone(team: Team, behaviour: Behaviour, notices: bool) -> None:
    team.cloud.stacks.notices = notices
    team.deploys("one")
    said = fails(team, "two", behaviour)
    assert CAUSES[behaviour] in said
    assert "runs again, from snapshot before-" in said
    assert team.runs("one")
    assert str(team.job.restored_from).startswith("before-")


@pytest.mark.parametrize("behaviour", BROKEN)
def test_after_a_failed_update_a_mended_one_works(team: Team, behaviour: Behaviour) -> None:
    team.deploys("one")
    fails(team, "two", behaviour)
    team.deploys("three")
    assert team.runs("three")


def test_a_setting_that_breaks_the_job_is_undone_with_its_code_unchanged(team: Team) -> None:
    team.deploys("one")
    team.sets(FlushInterval="1ms")
    said = fails(team, "one", Behaviour.LOOPS)
    assert "did not succeed" in said
    team.cloud.flink.behaviours.clear()
    team.rolls_back()
    assert team.runs("one")
    assert team.cloud.stacks.stacks["telefold-dev"].resolved is not None
    assert team.cloud.stacks.stacks["telefold-dev"].resolved.parameters["FlushInterval"] == "1s"


@pytest.mark.parametrize("behaviour", BROKEN)
def test_a_first_deploy_that_does_not_work_stops_the_application(team: Team, behaviour: Behaviour) -> None:
    said = fails(team, "one", behaviour)
    assert CAUSES[behaviour] in said
    assert "Nothing ran before" in said
    assert team.application.status == "READY"
    team.deploys("two")
    assert team.runs("two")
    assert team.job.restored_from is None


def test_what_cloudformation_refuses_leaves_the_job_alone(team: Team) -> None:
    team.deploys("one")
    job = team.job
    team.sets(RedisNodeType="cache.nonsense")
    team.cloud.stacks.fails["Redis"] = "Invalid node type"
    assert "Redis: Invalid node type" in fails(team, "two", Behaviour.WORKS)
    assert team.job is job
    assert team.runs("one")


def test_a_value_that_no_template_allows_leaves_the_job_alone(team: Team) -> None:
    team.deploys("one")
    job = team.job
    team.sets(Parallelism="0")
    said = fails(team, "two", Behaviour.WORKS)
    assert "CloudFormation refuses the change of stack telefold-dev: Parameter Parallelism" in said
    assert "was not touched" in said
    assert team.job is job
    assert team.runs("one")


def test_a_first_deploy_with_such_a_value_can_be_mended(team: Team) -> None:
    team.sets(Parallelism="0")
    assert "Parallelism" in fails(team, "one", Behaviour.WORKS)
    team.sets(Parallelism="1")
    team.deploys("one")
    assert team.runs("one")


def test_a_deploy_after_one_that_never_began_takes_a_new_snapshot(team: Team) -> None:
    team.deploys("one")
    with pytest.raises(KeyboardInterrupt):
        team.deploys("two", clients=Interruption(team.cloud, 3).clients)
    assert team.record.attempt is not None
    noted = team.record.attempt.before
    team.cloud.clock.sleep(300)
    team.deploys("three")
    assert team.record.proven[-1].before != noted


def test_a_stack_whose_making_failed_is_made_anew(team: Team) -> None:
    team.cloud.stacks.fails["Redis"] = "Insufficient capacity"
    assert "Insufficient capacity" in fails(team, "one", Behaviour.WORKS)
    assert team.cloud.stacks.stacks["telefold-dev"].status == "ROLLBACK_COMPLETE"
    team.deploys("one")
    assert team.runs("one")


def test_a_job_that_fails_by_itself_can_be_replaced(team: Team) -> None:
    """It takes no snapshot any more, so the new one starts from what there is."""
    proof = team.deploys("one").snapshot
    team.job.behaviour = Behaviour.LOOPS
    team.deploys("two")
    assert team.runs("two")
    assert team.job.restored_from == proof


def test_an_application_that_somebody_stopped_goes_on_from_its_last_snapshot(team: Team) -> None:
    team.deploys("one")
    team.site().clients.application.stop_application(ApplicationName="telefold-dev")
    team.cloud.clock.sleep(60)
    last = team.application.snapshots[-1].name
    team.deploys("one")
    assert team.runs("one")
    assert team.job.restored_from == last
    assert len(team.record.proven) == 1


def first(team: Team, interruption: Interruption) -> str:
    team.deploys("one", clients=interruption.clients)
    return "one"


def update(team: Team, interruption: Interruption) -> str:
    team.deploys("two", clients=interruption.clients)
    return "two"


def broken_update(team: Team, interruption: Interruption) -> str:
    with pytest.raises(DeployError):
        team.deploys("two", Behaviour.SILENT, interruption.clients)
    return "one"


def backwards(team: Team, interruption: Interruption) -> str:
    team.rolls_back(interruption.clients, to="zero")
    return "zero"


@pytest.mark.parametrize(
    ("what", "after"),
    [(first, []), (update, ["one"]), (broken_update, ["one"]), (backwards, ["zero", "one"])],
    ids=["first", "update", "broken update", "rollback"],
)
def test_broken_off_anywhere_the_same_command_goes_on(
    s3_endpoint: str, tmp_path: Path, what: Callable[[Team, Interruption], str], after: list[str]
) -> None:
    number = 0
    while True:
        number += 1
        with serving(s3_endpoint) as cloud:
            team = Team(cloud, tmp_path)
            for word in after:
                team.deploys(word)
            interruption = Interruption(cloud, number)
            try:
                what(team, interruption)
            except KeyboardInterrupt:
                word = what(team, Interruption(cloud, 1_000))
                assert team.runs(word), f"broken off after request {number}"
            if not interruption.happened:
                break
    assert number > 4


def test_two_at_the_same_time_do_not_mix(team: Team) -> None:
    team.deploys("one")
    ledger = team.site().artifacts().ledger()
    team.deploys("two")
    with pytest.raises(DeployError, match="Somebody else deploys"):
        ledger.note(ledger.record.settled())
    assert team.runs("two")


def test_snapshots_that_no_rollback_can_ask_for_are_forgotten(team: Team) -> None:
    team.deploys("one")
    mine = deployment.snapshot(team.site(), "mine")
    fails(team, "two", Behaviour.SILENT)
    team.deploys("three")
    kept = {name for name in team.snapshot_names() if not name.startswith("service-")}
    assert kept == team.record.snapshots | {mine}


def test_a_missing_package_is_told_before_anything_is_done(team: Team, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="run `telefold package` first"):
        deployment.deploy(team.site(), tmp_path / "telefold.zip", 60)
    assert not team.cloud.stacks.stacks


def test_a_snapshot_needs_a_job_that_works(team: Team) -> None:
    with pytest.raises(DeployError, match="does not run"):
        deployment.snapshot(team.site())
    team.deploys("one")
    assert deployment.snapshot(team.site(), "mine") == "mine"
    assert "mine" in team.snapshot_names()
    team.job.behaviour = Behaviour.LOOPS
    with pytest.raises(DeployError, match="Snapshot other failed"):
        deployment.snapshot(team.site(), "other")
