"""The job that would judge its devices, if there were rules."""

from bench.peers import alerts
from bench.peers.work import Timing, Work


def run(work: Work) -> Timing:
    return alerts.run(work, ())
