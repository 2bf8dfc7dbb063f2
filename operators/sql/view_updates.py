"""From folded tables to `ViewUpdate` rows: the one schema in which every view leaves SQL.

A view update table has the columns `row_key` (what identifies the row), `version`, and `row_json`
(a `schemas.view_rows.ViewUpdate` as JSON).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyflink.table import StreamTableEnvironment, Table

# Not allowed in metric names, so that no two rows share a row_key.
_KEY_SEPARATOR = "U&'\\001F'"


@dataclass(frozen=True)
class ViewUpdateSql:
    """One view update as SQL expressions over the columns of a folded table."""

    view: str
    partition: str
    sort: str
    version: str
    data: Mapping[str, str]
    expires_at: str = "CAST(NULL AS BIGINT)"

    def columns(self) -> tuple[str, str, str]:
        """`row_key`, `version` and `row_json`."""
        data = ", ".join(f"'{field}' VALUE {expression}" for field, expression in self.data.items())
        return (
            f"{self.partition} || {_KEY_SEPARATOR} || {self.sort}",
            self.version,
            f"""JSON_OBJECT(
                'view' VALUE '{self.view}',
                'partition' VALUE {self.partition},
                'sort' VALUE {self.sort},
                'version' VALUE {self.version},
                'expires_at' VALUE {self.expires_at},
                'data' VALUE JSON_OBJECT({data}))""",
        )


def view_updates(tables: StreamTableEnvironment, folded: Table, updates: Sequence[ViewUpdateSql]) -> Table:
    """The view updates of every row of `folded`.

    Several updates come from one array: one SELECT each would make the planner run the fold once for each,
    because it prunes the columns that each one does not use before it looks for common plans.
    """
    rows = ", ".join(f"ROW({', '.join(update.columns())})" for update in updates)
    return tables.sql_query(f"""
        SELECT view_update.row_key, view_update.version, view_update.row_json
        FROM {folded}
        CROSS JOIN UNNEST(ARRAY[{rows}]) AS view_update (row_key, version, row_json)
    """)


def union(tables: Sequence[Table]) -> Table:
    """All of `tables` in one plan; the order does not matter, for versions decide in the stores."""
    first, *rest = tables
    for table in rest:
        first = first.union_all(table)
    return first
