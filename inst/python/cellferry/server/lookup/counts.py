"""The filter of ``/data/{job_id}/counts``: structured, never text that becomes a query."""

from __future__ import annotations

import math
from typing import Any

from ..failures import fail, shown

MOST_FILTERS = 20
MOST_VALUES = 1000
COMPARISONS: tuple[str, ...] = ("lt", "le", "gt", "ge")
OPERATORS: tuple[str, ...] = (
    "eq",
    "ne",
    "in",
    "not_in",
    *COMPARISONS,
    "is_null",
    "not_null",
)


def read_counts(content: Any) -> tuple[list[dict[str, Any]], str | None]:
    """Return filters and grouping column of a body; raises :class:`~..failures.Failure`.

    Examples
    --------
    >>> read_counts({"filters": [{"column": "donor", "op": "eq", "value": "d1"}]})
    ([{'column': 'donor', 'op': 'eq', 'value': 'd1'}], None)
    """
    if not isinstance(content, dict):
        fail("The body must be an object with `filters` and `group_by`.")
    unknown = sorted(set(content) - {"filters", "group_by"})
    if unknown:
        fail(f"The body may have `filters` and `group_by`, not {shown(unknown[0])}.")
    group_by = content.get("group_by")
    if group_by is not None and not isinstance(group_by, str):
        fail(f"`group_by` must name a column, not {shown(group_by)}.")
    filters = content.get("filters")
    if filters is None:
        filters = []
    if not isinstance(filters, list) or len(filters) > MOST_FILTERS:
        fail(f"`filters` must be a list of at most {MOST_FILTERS}.")
    return [_filter(f, i) for i, f in enumerate(filters)], group_by


def _filter(given: Any, i: int) -> dict[str, Any]:
    where = f"filters[{i}]"
    if not isinstance(given, dict) or not set(given) <= {"column", "op", "value"}:
        fail(f"`{where}` must be an object with `column`, `op` and `value`.")
    column, operator, value = given.get("column"), given.get("op"), given.get("value")
    if not isinstance(column, str):
        fail(f"`{where}.column` must name a column, not {shown(column)}.")
    if not isinstance(operator, str) or operator not in OPERATORS:
        fail(f"`{where}.op` must be one of {', '.join(OPERATORS)}, not {shown(operator)}.")
    if operator in {"is_null", "not_null"}:
        if value is not None:
            fail(f"`{where}.value` has no meaning with {operator}.")
        return {"column": column, "op": operator}
    if operator in {"in", "not_in"}:
        if not isinstance(value, list) or not 0 < len(value) <= MOST_VALUES:
            fail(f"`{where}.value` must be a list of 1 to {MOST_VALUES} values.")
        values = value
    else:
        values = [value]
    for one in values:
        _check_value(one, f"{where}.value", number=operator in COMPARISONS)
    return {"column": column, "op": operator, "value": value}


def _check_value(value: Any, where: str, *, number: bool) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not is_number:
        fail(f"`{where}` must be a number, not {shown(value)}.")
    if not isinstance(value, str | bool) and not is_number:
        fail(f"`{where}` must be text, a number, true or false, not {shown(value)}.")
    if is_number and not math.isfinite(value):
        fail(f"`{where}` must be a finite number.")
