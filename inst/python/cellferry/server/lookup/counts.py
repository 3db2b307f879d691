"""The filter of ``/data/{job_id}/counts``: structured, never text that becomes a query."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from ..bodies import FIRST_ERROR, Body, must, one_of, read, refuse

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

Value = str | bool | int | Annotated[float, Field(allow_inf_nan=False)]
Values = Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES), FIRST_ERROR]


class Filter(Body):
    """A condition on a column of the metadata.

    ``in`` and ``not_in`` have a list of values, ``is_null`` and ``not_null`` have none, ``lt``,
    ``le``, ``gt`` and ``ge`` a number.
    """

    model_config = ConfigDict(extra="forbid")

    column: str
    op: Annotated[str, one_of(OPERATORS)]
    value: Annotated[
        Value | Values | None,
        must(
            "must be text, a finite number, true or false, or a list of 1 to "
            f"{MOST_VALUES} of these, not {{given}}"
        ),
    ] = None

    @model_validator(mode="after")
    def _value_of_the_operator(self) -> Filter:
        value = self.value
        if self.op in {"is_null", "not_null"}:
            if value is not None:
                refuse("must not have a `value`, because `op` is about its absence")
        elif self.op in {"in", "not_in"}:
            if not isinstance(value, list):
                refuse("must have a list as `value`")
        elif value is None or isinstance(value, list):
            refuse("must have text, a number, true or false as `value`")
        elif self.op in COMPARISONS and isinstance(value, str | bool):
            refuse("must have a number as `value`")
        return self


class CountsRequest(Body):
    """Which cells are counted, and by which column."""

    model_config = ConfigDict(extra="forbid")

    filters: Annotated[list[Filter], Field(max_length=MOST_FILTERS)] | None = None
    group_by: str | None = None


def read_counts(content: object) -> tuple[list[dict[str, object]], str | None]:
    """Return filters and grouping column of a body; raises :class:`~..failures.Failure`.

    Examples
    --------
    >>> read_counts({"filters": [{"column": "donor", "op": "eq", "value": "d1"}]})
    ([{'column': 'donor', 'op': 'eq', 'value': 'd1'}], None)
    """
    sent = read(CountsRequest, content)
    return [f.model_dump(exclude_none=True) for f in sent.filters or ()], sent.group_by
