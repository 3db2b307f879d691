"""The data of the page as bytes: what ``viewer/data.js`` reads, from a file or from a server.

All numbers are little-endian. In a file a block is packed by gzip and written in base64.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...study.expression.gene_summary import coded_values

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ...study.expression.gene_summary import DrawnGene, GeneSummary

NOWHERE = 65535
"""The code of what is missing: a coordinate, a row, a category."""
MOST_LEVELS = 1000
"""Categories of a column; one with more has names rather than groups, and is left out."""
MEAN_STEPS = 254
"""Means are kept by their logarithm, in so many steps between the least and the most."""


class Column(NamedTuple):
    """A column of metadata as the page has it.

    ``kind`` is ``"category"`` (``levels``, and codes as values) or ``"number"``.
    """

    name: str
    kind: str
    levels: tuple[str, ...]
    values: NDArray[np.generic]

    def block(self, cells: NDArray[np.integer] | None = None) -> bytes:
        """Return the values of some cells, or of all."""
        values = self.values if cells is None else self.values[cells]
        return values.astype("<u2" if self.kind == "category" else "<f4").tobytes()

    def entry(self, *, own: bool = False) -> dict[str, Any]:
        """Return what the index says of it; `own`: cellferry wrote it."""
        low, high = self.range
        return {
            "name": self.name,
            "kind": self.kind,
            "levels": list(self.levels),
            "low": low,
            "high": high,
            "own": own,
        }

    @property
    def range(self) -> tuple[float | None, float | None]:
        """Least and largest number; None of categories, and where there is none."""
        if self.kind == "category":
            return None, None
        found = self.values[np.isfinite(self.values)]
        return (float(found.min()), float(found.max())) if len(found) else (None, None)


def column_of(name: str, values: pd.Series) -> Column | None:
    """Return a column of metadata, or None if it can neither be grouped by nor measured.

    Numbers of at most ten whole values are categories too, as clusters mostly are.

    Examples
    --------
    >>> import pandas as pd
    >>> column_of("sample", pd.Series(["b", "a", None])).values.tolist()
    [1, 0, 65535]
    """
    import pandas as pd

    kind = values.dtype
    if pd.api.types.is_bool_dtype(kind):
        return _category(name, values.astype("object").map({True: "TRUE", False: "FALSE"}))
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        with np.errstate(over="ignore"):
            numbers = values.to_numpy(dtype=np.float64, na_value=np.nan).astype(np.float32)
        return Column(name, "number", (), numbers)
    if isinstance(kind, pd.CategoricalDtype):
        levels = tuple(str(level) for level in values.cat.categories)
        if len(levels) > MOST_LEVELS:
            return None
        codes = np.asarray(values.cat.codes, dtype=np.int64)
        return Column(name, "category", levels, _coded(codes))
    return _category(name, values)


def _coded(codes: NDArray[np.integer]) -> NDArray[np.uint16]:
    return np.where(codes < 0, NOWHERE, codes).astype(np.uint16)


def _category(name: str, values: pd.Series) -> Column | None:
    import pandas as pd

    present = values.notna().to_numpy()
    texts = values[present].map(str)
    codes, levels = pd.factorize(texts, sort=True)
    if len(levels) > MOST_LEVELS or (len(levels) > 20 and len(levels) == present.sum()):
        return None
    whole = np.full(len(values), NOWHERE, dtype=np.uint16)
    whole[present] = codes
    return Column(name, "category", tuple(map(str, levels)), whole)


def embedding_entry(
    name: str, values: NDArray[np.number], *, spatial: bool = False
) -> dict[str, Any]:
    """Return what the index says of n x 2 coordinates."""
    placed = np.isfinite(np.asarray(values, dtype=np.float64)).all(axis=1)
    return {"name": name, "spatial": spatial, "missing": int((~placed).sum())}


def coordinates_block(values: NDArray[np.number]) -> bytes:
    """Return n x 2 coordinates: all x, then all y, both scaled to 0..65534 by one factor.

    Examples
    --------
    >>> made = coordinates_block(np.array([[0.0, 0.0], [2.0, 1.0], [np.nan, 0.0]]))
    >>> np.frombuffer(made, "<u2").tolist()
    [0, 65534, 65535, 16384, 49150, 65535]
    """
    points = np.asarray(values, dtype=np.float64)
    placed = np.isfinite(points).all(axis=1)
    coded = np.full(points.shape, NOWHERE, dtype=np.int64)
    if placed.any():
        known = points[placed]
        low, high = known.min(axis=0), known.max(axis=0)
        # Halves first: the range of extreme coordinates does not fit into a float.
        middle, half = high / 2 + low / 2, float((high / 2 - low / 2).max())
        unit = half if half > np.finfo(np.float64).tiny else 1.0
        coded[placed] = np.rint((NOWHERE - 1) / 2 * (1 + (known - middle) / unit))
    return coded.T.astype("<u2").tobytes()


def codes_block(codes: NDArray[np.integer]) -> bytes:
    """Return codes from 0 on; a negative one is missing."""
    return _coded(codes).astype("<u2").tobytes()


class Means(NamedTuple):
    """Genes x rows: codes of the means, and what the least and the largest stand for."""

    codes: NDArray[np.uint8]
    least: float
    most: float


def coded_means(means: NDArray[np.float64], span: tuple[float, float] | None = None) -> Means:
    """Return means by the steps of their logarithm; 0 is zero, others are right within 3 %.

    Parameters
    ----------
    means
        Genes x rows.
    span
        Least and largest that are told apart; None is what there is.

    Examples
    --------
    >>> coded_means(np.array([[0.0, 1.0], [0.001, 20.0]])).codes.tolist()
    [[0, 178], [1, 255]]
    """
    positive = means[means > 0]
    if span is not None:
        return Means(_steps(means, *span), *span)
    if not len(positive):
        return Means(np.zeros(means.shape, np.uint8), 1.0, 2.0)
    most = float(positive.max())
    # Five decades are more than a picture shows; what is less is the least.
    least = max(float(positive.min()), most * 1e-6)
    most = max(most, least * 2)
    return Means(_steps(means, least, most), least, most)


def _steps(means: NDArray[np.float64], least: float, most: float) -> NDArray[np.uint8]:
    step = np.log(most / least) / MEAN_STEPS
    codes = 1 + np.rint(np.log(np.clip(means, least, most) / least) / step)
    return np.where(means > 0, codes, 0).astype(np.uint8)


def summary_block(found: GeneSummary, means: Means) -> bytes:
    """Return genes x rows: shares in 255ths, then the codes of the means."""
    shares = found.shares
    coded = np.rint(shares * 255)
    coded = np.where((shares > 0) & (coded < 1), 1, coded)
    return coded.astype(np.uint8).tobytes() + means.codes.tobytes()


def values_block(gene: DrawnGene, cells: NDArray[np.integer] | None = None) -> bytes:
    """Return the largest value as a float32, then a share of it for each cell (uint8)."""
    codes = gene.codes if gene.codes is not None else np.zeros(0, np.uint8)
    chosen = codes if cells is None else codes[cells]
    return _with_top(gene.top, chosen)


def gene_block(cells: NDArray[np.integer], values: NDArray[np.number], n_cells: int) -> bytes:
    """Return a value for each of all cells as :func:`values_block` does; below zero is zero.

    Parameters
    ----------
    cells, values
        Positions of some cells, and their values.
    n_cells
        How many there are.

    Examples
    --------
    >>> list(gene_block(np.array([0, 2]), np.array([-1.0, 2.0]), 3)[4:])
    [0, 0, 255]
    """
    kept = values > 0
    if not kept.all():
        cells, values = cells[kept], values[kept]
    codes = np.zeros(n_cells, dtype=np.uint8)
    top, codes[cells] = coded_values(values)
    return _with_top(top, codes)


def _with_top(top: float, codes: NDArray[np.uint8]) -> bytes:
    return np.array([top], dtype="<f4").tobytes() + codes.tobytes()


def names_block(names: Sequence[str]) -> bytes:
    """Return names, one a line; a line break in a name is a blank."""
    lines = "\n".join(" ".join(name.splitlines()) or " " for name in names)
    return lines.encode("utf-8", "replace")


def packed(block: bytes) -> str:
    """Return a block as it stands in a file; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(block, 6, mtime=0)).decode("ascii")
