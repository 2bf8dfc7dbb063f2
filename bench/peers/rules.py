"""The job with a thousand rules."""

from bench.peers import alerts
from bench.peers.work import Timing, Work


def run(work: Work) -> Timing:
    return alerts.run(work, alerts.rules())
