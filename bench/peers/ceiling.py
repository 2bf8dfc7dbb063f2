"""What the job could do at most: all of Telefold, but its batches go nowhere instead of into Python."""

from functools import partial
from typing import Any
from unittest.mock import patch

from bench.peers import flink
from bench.peers.telefold import whole_archive
from bench.peers.work import SETTINGS, Timing, Work


def run(work: Work) -> Timing:
    """There are no rows to compare: nobody sees them."""
    from jobs import telemetry

    build = partial(telemetry.build, settings=SETTINGS, connect=None, assignment=whole_archive(work))
    with patch.object(telemetry, "write_views", _discard):
        return flink.run(work, build)


def _discard(batches: Any, connect: None) -> None:
    from pyflink.java_gateway import get_gateway

    sink = get_gateway().jvm.org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink()
    batches._j_data_stream.sinkTo(sink).name("discard").uid("discard")
