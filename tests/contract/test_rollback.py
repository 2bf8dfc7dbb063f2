"""Rollbacks on an emulated AWS, by the real clients."""

import pytest

from telefold.schemas.errors import DeployError
from tests.support.aws.application import Behaviour
from tests.support.deploys import Interruption, Team


def test_a_rollback_brings_the_release_before_back_with_the_state_that_it_left(team: Team) -> None:
    team.deploys("one")
    team.deploys("two")
    left = team.record.proven[-1].before
    team.rolls_back()
    assert team.runs("one")
    assert team.job.restored_from == left
    with pytest.raises(DeployError, match="no earlier release to go back to"):
        team.rolls_back()
    assert team.runs("one")


def test_a_rollback_goes_to_the_release_that_is_named(team: Team) -> None:
    for word in ("one", "two", "three"):
        team.deploys(word)
    left = team.record.proven[1].before
    assert team.rolls_back(to="one").changed
    assert team.runs("one")
    assert team.job.restored_from == left
    assert not team.rolls_back(to="one").changed


def test_a_rollback_that_does_not_work_says_so_and_can_be_repeated(team: Team) -> None:
    team.deploys("one")
    team.deploys("two")
    team.package("one", Behaviour.SILENT)
    with pytest.raises(DeployError, match=r"ModuleNotFoundError(.|\n)*run `telefold rollback --env dev`"):
        team.rolls_back()
    team.package("one")
    team.rolls_back()
    assert team.runs("one")


def test_a_deploy_that_was_broken_off_can_be_rolled_back(team: Team) -> None:
    team.deploys("one")
    with pytest.raises(KeyboardInterrupt):
        team.deploys("two", clients=Interruption(team.cloud, 5).clients)
    team.rolls_back()
    assert team.runs("one")
    assert str(team.job.restored_from).startswith("before-")
