"""The reference says of every fold, value and field what there is of them in the code."""

from pathlib import Path
from typing import get_args

from telefold.operators.device_views import RollupValue
from telefold.operators.folds.registry import BUILT_IN
from telefold.schemas.codec import CURRENT_VERSION, SCHEMAS

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> dict[str, str]:
    """The lines of a page's tables by the names in their first cells, each without what is in brackets behind it."""
    lines = [line for line in DOCS.joinpath(page).read_text("utf-8").splitlines() if line.startswith("| ")]
    return {name.strip().split(" ")[0]: line for line in lines for name in line.split("|")[1].split(",")}


def test_settings_and_the_guide_name_every_fold_of_telefolds_own() -> None:
    guide = DOCS.joinpath("how-to", "folds.md").read_text("utf-8")
    for name in BUILT_IN:
        assert f"`{name}`" in rows("reference/settings.md")["folds"]
        assert f"`{name}`" in guide


def test_views_has_every_value_of_a_rollup() -> None:
    assert set(get_args(RollupValue)) <= rows("reference/views.md").keys()


def test_events_has_every_field_of_the_current_version() -> None:
    assert f"`schemas/device_event/v{CURRENT_VERSION}.avsc`" in DOCS.joinpath("reference", "events.md").read_text(
        "utf-8"
    )
    assert {field["name"] for field in SCHEMAS[CURRENT_VERSION]["fields"]} <= rows("reference/events.md").keys()
