"""What the job could do at most: all of Telefold, but its batches go nowhere instead of into Python."""

from typing import Any

from bench.peers import flink
from bench.peers.telefold import whole_archive
from bench.peers.work import SETTINGS, Timing, Work


def run(work: Work) -> Timing:
    """There are no rows to compare: nobody sees them."""

    def build(environment: Any) -> None:
        from telefold.jobs import telemetry

        spec = whole_archive(work)
        records = telemetry.read(environment, SETTINGS, spec)
        discard(telemetry.fold(records, SETTINGS, spec).batches)

    return flink.run(work, build)


def discard(batches: Any) -> None:
    from telefold.edge.java import jvm
    from telefold.edge.streams import sink_to

    sink = jvm().org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    sink_to(batches, sink, "discard")
