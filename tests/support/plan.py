"""Prints what the telemetry job is made of: `python -m tests.support.plan FOLDER`, as JSON on standard output."""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from telefold.deploy.minicluster import environment, jvm
from telefold.jobs import settings, stores, telemetry
from telefold.jobs.run_spec import TELEMETRY
from telefold.operators.device_fold import views_in_jvm
from telefold.operators.device_views import device_views
from telefold.schemas.errors import SettingsError

GROUPS = {
    "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1", "aws.endpoint": "http://127.0.0.1:1"},
    "telefold.job": {"parallelism": "2"},
    "telefold.views": {"dynamodb.table": "telefold-views", "redis.url": "redis://127.0.0.1:1"},
    "telefold.dead-letter": {"stream.name": "telemetry-dead-letters"},
    "telefold.archive": {"path": "/archive"},
}


def main(root: Path) -> None:
    loaded = settings.parse(GROUPS)
    paths = environment.Paths.below(root, TELEMETRY, TELEMETRY)
    machine = jvm.start(paths.log, environment.jvm_environment(paths, loaded.source.endpoint))
    try:
        flink = environment.create(environment.configuration(loaded.job, "thread", paths, None, 0))
        telemetry.build(flink, loaded, partial(stores.open_writer, loaded))
        graph = flink._j_stream_execution_environment.getStreamGraph(False)
        operators = [_operator(graph, node) for node in _nodes(graph)]
        found = {"operators": operators, "key_groups": _key_groups(graph), "refused": _refused_zone(loaded)}
        json.dump(found, sys.stdout)
    finally:
        machine.stop()


def _refused_zone(loaded: settings.Settings) -> list[str]:
    """What is said of a time zone that Python's database may have and this Java has not."""
    job = loaded.job.model_copy(update={"rollup_sizes": {"1h": 3_600_000, "1d@Europe/Atlantis": 86_400_000}})
    views = device_views(job.rollup_sizes, job.views, loaded.views.retention)
    try:
        views_in_jvm(views)
    except SettingsError as error:
        return list(error.problems)
    return []


def _nodes(graph: Any) -> list[Any]:
    return sorted(graph.getStreamNodes().toArray(), key=lambda node: node.getId())


def _key_groups(graph: Any) -> dict[str, int]:
    """Of each operator with keyed state."""
    keyed = [node for node in _nodes(graph) if node.getStatePartitioners()]
    return {str(node.getOperatorName()): int(node.getMaxParallelism()) for node in keyed}


def _operator(graph: Any, node: Any) -> dict[str, Any]:
    return {
        "name": node.getOperatorName(),
        "uid": node.getTransformationUID(),
        "inputs": [
            f"{graph.getStreamNode(edge.getSourceId()).getOperatorName()} {_partitioner(edge)}"
            for edge in node.getInEdges()
        ],
    }


def _partitioner(edge: Any) -> str:
    return re.sub(r"\W.*", "", str(edge.getPartitioner()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
