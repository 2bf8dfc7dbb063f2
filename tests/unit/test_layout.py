"""What is pure stays pure, and the drawn tree of errors is the real one."""

import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import telefold
from telefold import schemas, views
from telefold.schemas import errors

HEAVY = {"pyflink", "boto3", "botocore", "redis", "py4j", "pandas"}
PURE = [
    *(f"telefold.schemas.{module.name}" for module in pkgutil.iter_modules(schemas.__path__)),
    *(f"telefold.views.{module.name}" for module in pkgutil.iter_modules(views.__path__)),
    *(f"telefold.verify.{name}" for name in ("comparing", "judges.whole", "oracle")),
    "telefold.operators.device_views",
    "telefold.deploy.managed.environments",
    "telefold.deploy.managed.health",
    "telefold.planning.costs",
    "telefold.simulator.generator",
    "telefold.jobs.settings",
    "telefold.jobs.properties_file",
    "telefold.cli.times",
    "telefold.deploy.minicluster.checkpoints",
    "telefold.deploy.flink_rest",
]


def imported_by(*modules: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds once it has imported `modules`."""
    program = f"import json, sys, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_pure_code_imports_neither_flink_nor_aws_nor_redis() -> None:
    assert not imported_by(*PURE) & HEAVY


def test_the_command_line_starts_without_flink() -> None:
    """Importing it takes seconds, and most commands have no use for it."""
    assert "pyflink" not in imported_by("telefold.cli.main")


def reach_into_the_jvm(root: Path) -> set[str]:
    inner = re.compile(r"\b_j_\w+|\bpy4j\.|\bjava_gateway\b")
    modules = (path for folder in root.iterdir() for path in folder.rglob("*.py"))
    return {path.relative_to(root).parts[0] for path in modules if inner.search(path.read_text())}


def test_one_package_reaches_into_the_jvm() -> None:
    assert reach_into_the_jvm(Path(telefold.__path__[0])) == {"edge"}


@pytest.mark.parametrize("name", ["telefold.schemas.codec", "telefold.verify.oracle"])
def test_the_list_of_pure_modules_is_not_empty(name: str) -> None:
    assert name in PURE


def drawn_tree() -> dict[str, str | None]:
    """Error -> the error it is drawn under."""
    tree: dict[str, str | None] = {}
    open_branches: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if drawn := re.match(r"([│ ]*[├└]── )?([A-Z]\w+)(\s{2,}|$)", line):
            depth = len(drawn[1] or "")
            open_branches = [branch for branch in open_branches if branch[0] < depth]
            tree[drawn[2]] = open_branches[-1][1] if open_branches else None
            open_branches.append((depth, drawn[2]))
    return tree


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    classes = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, Exception)]
    real = {found.__name__: found.__base__.__name__ for found in classes if found.__base__ is not None}
    assert drawn_tree() == real | {"TelefoldError": None}


def test_every_error_says_what_it_stands_for() -> None:
    assert all((getattr(errors, name).__doc__ or "").endswith(".") for name in drawn_tree())
