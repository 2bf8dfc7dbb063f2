"""The same job with its Python in processes of their own; all other tests run it in threads of the JVM."""

from pathlib import Path

from telefold.jobs import settings, stores
from telefold.simulator.generator import Spec
from telefold.verify.account import reckon
from tests.support.alerts import await_in_force
from tests.support.fleet import send_fleet
from tests.support.fold_rows import transitions_in_the_log, transitions_told
from tests.support.processes import Job
from tests.support.properties import set_properties

FLEET = Spec(events=2_000, devices=30, seed=4, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")
DAMP = "humidity > 55 until < 54"


def test_process_mode_gives_the_same_views(properties: Path, job: Job) -> None:
    folds = {"folds": "device,presence,alert,fleet", "group.rollups": "site"}
    wanted = {"python.execution-mode": "process", "checkpoint.interval": "500ms"} | folds
    set_properties(properties, {"telefold.job": wanted})
    loaded = settings.load(properties)
    with stores.open_rule_book(loaded) as book:
        await_in_force(book.put("damp", DAMP))
    sent = send_fleet(loaded, FLEET)
    job.start()
    job.await_events(len(sent))
    job.await_caught_up()
    assert job.stop() == 0
    account = reckon(loaded, sent)
    assert account.right, account
    assert set(transitions_told(loaded)) == transitions_in_the_log(loaded)
