"""The same rollups in SQL, whose place `operators.device_fold` took: partials combined early, generic aggregates."""

from typing import Any

from bench.peers import flink
from bench.peers.ceiling import discard
from bench.peers.telefold import whole_archive
from bench.peers.work import SETTINGS, Timing, Work


def run(work: Work) -> Timing:
    """Its batches go nowhere; that they agree with the fold's is shown by a test."""

    def build(environment: Any) -> None:
        from jobs import telemetry
        from operators.sql.fold import fold_in_sql
        from schemas.view_rows import ROLLUPS

        job, assignment = SETTINGS.job, whole_archive(work)
        records = telemetry.read(environment, SETTINGS, assignment)
        only_deduplicate = SETTINGS._replace(job=job.model_copy(update={"views": ()}))
        batches = fold_in_sql(
            environment,
            telemetry.fold(records, only_deduplicate, assignment).accepted,
            job.rollup_sizes,
            SETTINGS.views.retention[ROLLUPS],
            state_ttl_ms=job.state_retention + job.rollup_lateness + job.largest_window,
            interval_ms=job.flush_interval,
            max_rows=job.flush_size,
        )
        discard(batches)

    return flink.run(work, build)
