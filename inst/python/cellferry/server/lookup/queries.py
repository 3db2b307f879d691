"""Questions that need one or both artifacts of a job. Runs in the helper process only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from ..failures import Code, Failure
from . import obs_duckdb, vars_h5

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...files import Json


class Prevalence(TypedDict):
    """Per label: how many cells express a gene, and the sum of their values."""

    cells: list[int]
    sums: list[float | None]


def expression(vars_path: str, obs_path: str | None, gene: str, max_cells: int) -> dict[str, Json]:
    """Return a gene's values over the embedding.

    Only this gene is read, and of the metadata only the two coordinates. Of more than
    ``max_cells`` cells every k-th is returned; ``n_expressing`` and ``mean`` are of all.

    Parameters
    ----------
    vars_path, obs_path
        The artifacts of a job; without ``obs_path`` there are no coordinates.
    gene
        Symbol or identifier.
    max_cells
        Cells that are returned at most.

    Raises
    ------
    Failure
        A file is refused, there is no such gene, or the files are of different cells.
    """
    matrix = vars_h5.opened(vars_path)
    cells, values = matrix.column(matrix.position(gene))
    dense = np.zeros(matrix.n_cells, dtype=np.float32)
    np.add.at(dense, cells, values)
    step = max(1, -(-matrix.n_cells // max_cells))
    result: dict[str, Json] = {
        "gene": gene,
        "n_cells": matrix.n_cells,
        "n_expressing": int((dense > 0).sum()),
        "mean": _finite(float(dense.mean()) if len(dense) else 0.0),
        "embedding": None,
    }
    rows = np.arange(0, matrix.n_cells, step)
    if obs_path is not None:
        metadata = obs_duckdb.opened(obs_path)
        check_same_cells(matrix, metadata)
        found = metadata.coordinates(step)
        if found is not None:
            result["embedding"], rows, x, y = found
            result["x"], result["y"] = _plain(x), _plain(y)
    result["cells"] = rows.tolist()
    result["values"] = _plain(dense[rows])
    return result


def prevalence(
    vars_path: str, obs_path: str, column: str, labels: Sequence[str], genes: Sequence[str]
) -> dict[str, Prevalence]:
    """Return per gene how many cells of each label express it, and the sum of its values.

    Parameters
    ----------
    vars_path, obs_path
        The artifacts of a job.
    column, labels
        The column of the metadata with the clusters, and its values in the order of the result.
    genes
        Symbols or identifiers; those that the file does not have are left out.

    Raises
    ------
    Failure
        A file is refused, there is no such column, or the files are of different cells.
    """
    matrix, metadata = vars_h5.opened(vars_path), obs_duckdb.opened(obs_path)
    check_same_cells(matrix, metadata)
    codes = metadata.codes(column, labels)
    found: dict[str, Prevalence] = {}
    known: dict[int, str] = {}
    for gene in genes:
        try:
            known.setdefault(matrix.position(gene), gene)
        except Failure:
            continue
    # In the order of the file, so that a chunk is decompressed once.
    for position in sorted(known):
        cells, values = matrix.column(position)
        of_cell = codes[cells]
        inside = (of_cell >= 0) & (values > 0)
        n = np.bincount(of_cell[inside], minlength=len(labels))
        total = np.bincount(of_cell[inside], weights=values[inside], minlength=len(labels))
        found[known[position]] = {"cells": n.tolist(), "sums": _plain(total)}
    return found


def check_same_cells(matrix: vars_h5.CheckedFile, metadata: obs_duckdb.ObsFile) -> None:
    """Raise :class:`Failure` where two files are not of as many cells."""
    if matrix.n_cells != metadata.n_cells:
        message = (
            f"vars.h5 has {matrix.n_cells} cells and obs.duckdb {metadata.n_cells}: "
            "they are not of the same object."
        )
        raise Failure(Code.INVALID_ARTIFACT, message)


def _plain(values: NDArray[np.number]) -> list[float | None]:
    return [_finite(float(v)) for v in np.round(np.ma.filled(values, np.nan), 5)]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
