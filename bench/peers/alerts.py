"""The whole job over the archive of a fleet of ten thousand devices at twenty sites, with or without rules."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.log import Fleet
from bench.peers import flink
from bench.peers.telefold import connect, whole_archive
from bench.peers.work import SETTINGS, Timing, Work
from telefold.connectors.view_sink import write_views
from telefold.operators.folds.alert import Alerts
from telefold.schemas.rules import RuleChange

FLEET = Fleet(devices=10_000, sites=20)
_RULES_A_SITE = 50


def rules() -> list[RuleChange]:
    """Fifty for each site. About one reading in a thousand breaks some of them."""
    return [
        RuleChange(f"rule-{site}-{number}", 1, f'{_condition(number)} where site = "site-{site}"')
        for site in range(FLEET.sites)
        for number in range(_RULES_A_SITE)
    ]


def _condition(number: int) -> str:
    """Of temperatures from 13 to 29, and humidities from 30 to 80 that jump from one reading to the next."""
    kind, step = number % 10, number // 10
    if kind == 0:
        return f"stale(temperature) > {2 + step}h"
    if kind == 1:
        return f"rate(humidity) > {2_000 + step}/s"
    if kind <= 5:
        return f"humidity > {79.9 + step} until < 75"
    return f"temperature > {28.5 + kind / 10 + step / 100} until < 28"


def run(work: Work, known: Sequence[RuleChange]) -> Timing:
    def build(environment: Any) -> None:
        from pyflink.common import Types

        from telefold.jobs import telemetry
        from telefold.operators.python_folds import Rules, fold_in_python

        spec = whole_archive(work)
        folded = telemetry.fold(telemetry.read(environment, SETTINGS, spec), SETTINGS, spec)
        nothing_new = environment.from_collection(["{}"], Types.STRING())
        judged = fold_in_python(
            folded.accepted,
            [Alerts()],
            interval_ms=SETTINGS.job.flush_interval_ms,
            max_events=SETTINGS.job.flush_size,
            retention_ms=SETTINGS.job.device_retention_ms,
            rules=Rules(nothing_new, known),
        )
        write_views([folded.batches, judged.batches], partial(connect, str(work.rows)))

    return flink.run(work, build, keyed="fold")
