"""The cells of a marker table: text to numbers, genes and lists of genes, strictly.

What cannot be read is an error that names the column and the value. A value that turns
into "missing" in silence would drop its gene in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MarkersFormatError
from ..clusters import cluster_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING_NUMBERS = frozenset({"", "na", "nan", "n/a", "#n/a", "null", "none", "<na>"})
"""Texts that mean a missing number, in lower case."""

MISSING_GENE = "NA"
"""What R writes for a missing name. Not "nan": that is a gene of the fruit fly."""

_SEPARATORS = re.compile(r"[,;|\t\r\n]+")
_WRAPPED = re.compile(r"^(?:c|list|set|array|Index)?\((.*)\)$|^\[(.*)\]$|^\{(.*)\}$", re.DOTALL)
_ROUNDING = 1e-6


def numbers(
    values: Sequence[object] | NDArray[np.generic],
    column: str,
    what: str,
    decimal: str = ".",
    *,
    first_row: int = 1,
) -> NDArray[np.float64]:
    """Return a column as float64: missing is NaN, and "inf" and "-inf" are infinite.

    Parameters
    ----------
    values
        Numbers, or texts of numbers.
    column, what
        Names of the column and the table in the message.
    decimal
        ``","`` if the texts may have a decimal comma.
    first_row
        Number of the first row in the message.

    Raises
    ------
    MarkersFormatError
        A value is neither a number nor missing.

    Examples
    --------
    >>> numbers(["1e-5", "NA", "-Inf"], "p_val", "The table").tolist()
    [1e-05, nan, -inf]
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        return values.astype(np.float64, copy=False)
    texts = [v for v in values if isinstance(v, str)]
    if len(texts) == len(values) and "_" not in "".join(texts):
        try:  # the usual column has no missing value, and this is several times faster
            return np.array(list(map(float, texts)), dtype=np.float64)
        except ValueError:
            pass
    found = np.empty(len(values), dtype=np.float64)
    for row, value in enumerate(values):
        try:
            found[row] = _number(value, decimal)
        except (ValueError, TypeError) as error:
            at = row + first_row
            message = f'{what} has no number in the column "{column}", row {at}, but "{value}".'
            hint = "Every value must be a number, or empty, NA or NaN where it is missing."
            raise MarkersFormatError(message, hint, column=column, row=at) from error
    return found


def _number(value: Any, decimal: str) -> float:
    if not isinstance(value, str):
        return float("nan") if cluster_text(value) is None else float(value)
    text = value.strip()
    if text.lower() in MISSING_NUMBERS:
        return float("nan")
    if "_" in text:  # Python would read "1_0" as 10
        raise ValueError(text)
    return float(text.replace(",", ".") if decimal == "," else text)


def fractions(
    statistics: dict[str, NDArray[np.float64]], what: str
) -> dict[str, NDArray[np.float64]]:
    """Return the table with ``pct_1`` and ``pct_2`` as fractions, both in the same unit.

    If either exceeds 1, both are percentages of 0..100 and are divided by 100.

    Parameters
    ----------
    statistics
        Field of ``Markers`` -> float64 per row.
    what
        What the table is called in messages.

    Raises
    ------
    MarkersFormatError
        A value is neither a fraction nor a percentage.
    """
    found = [k for k in ("pct_1", "pct_2") if k in statistics]
    both = np.concatenate([statistics[k] for k in found]) if found else np.empty(0)
    largest = np.nanmax(both, initial=0.0)
    smallest = np.nanmin(both, initial=0.0)
    if smallest < -_ROUNDING or largest > 100 + _ROUNDING:
        wrong = smallest if smallest < -_ROUNDING else largest
        message = f"{what} has the value {wrong:g} where the share of expressing cells should be."
        hint = "pct.1 and pct.2 must be fractions of 0..1 or percentages of 0..100."
        raise MarkersFormatError(message, hint)
    if largest <= 1 + _ROUNDING:
        return statistics
    return statistics | {k: statistics[k] / 100.0 for k in found}


def check_probabilities(statistics: dict[str, NDArray[np.float64]], what: str) -> None:
    """Raise :class:`MarkersFormatError` for p-values outside 0..1, such as -log10(p)."""
    for key in ("p_val", "p_val_adj"):
        values = statistics.get(key)
        if values is None:
            continue
        wrong = values[(values < -_ROUNDING) | (values > 1 + _ROUNDING)]
        if wrong.size:
            message = f"{what} has the p-value {wrong[0]:g} ({key}); p-values are from 0 to 1."
            raise MarkersFormatError(message, "Give p-values as they are, not as -log10(p).")


def gene_text(value: object) -> str:
    """Return the name of a gene without white space around it, "" where there is none.

    Examples
    --------
    >>> gene_text(" CD3E "), gene_text(float("nan")), gene_text(916.0)
    ('CD3E', '', '916')
    """
    if isinstance(value, bytes):
        value = value.decode()
    text = (cluster_text(value) or "").strip()
    return "" if text == MISSING_GENE else text


def is_list(value: object) -> bool:
    """Return whether a value holds several genes by its form: a sequence or a separator.

    Examples
    --------
    >>> is_list("CD3E,CD3D"), is_list("CD3E"), is_list(["CD3E"])
    (True, False, True)
    """
    if not isinstance(value, str):
        return isinstance(value, Iterable) and not isinstance(value, bytes)
    text = value.strip()
    return bool(_SEPARATORS.search(text) or _WRAPPED.match(text))


def split_genes(value: object) -> list[str]:
    """Return the genes of one cell of a table of lists, in order, each once.

    Separated by comma, semicolon, bar, tab or line break, and by white space only if
    there is none of them. Brackets and quotation marks of a Python or R list in text are
    taken off.

    Examples
    --------
    >>> split_genes("['CD3D', 'CD3E', 'CD3D']"), split_genes("CD3D; CD3E"), split_genes("CD3D CD3E")
    (['CD3D', 'CD3E'], ['CD3D', 'CD3E'], ['CD3D', 'CD3E'])
    """
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return _unique(gene_text(v) for v in value)
    text = gene_text(value)
    wrapped = _WRAPPED.match(text)
    if wrapped:
        text = next(part for part in wrapped.groups() if part is not None).strip("[]() \t\r\n")
    tokens = _SEPARATORS.split(text) if _SEPARATORS.search(text) else text.split()
    return _unique(gene_text(token.strip().strip("\"'`")) for token in tokens)


def _unique(genes: Iterable[str]) -> list[str]:
    return [gene for gene in dict.fromkeys(genes) if gene]
