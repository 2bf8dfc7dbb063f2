"""A short form of `make fuzz`: whatever a record holds, the job goes on and everybody else's rows are right."""

from pathlib import Path

from tests.fuzz.run import Plan, Run


def test_whatever_records_hold_the_job_goes_on_and_every_row_is_its_owners_and_right(tmp_path: Path) -> None:
    outcome = Run(Plan(seed=1, minutes=0.5), tmp_path, print).go()
    assert [problem.said[:500] for problem in outcome.problems] == [], outcome.account
