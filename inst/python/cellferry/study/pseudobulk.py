"""Sums of raw counts by cluster and sample: what a test between conditions is made of.

P-values of markers rank genes of clusters that were made from the same values, and say nothing of
conditions. For those the sums go to DESeq2 or edgeR, one column for each cluster of each sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EngineNeedsError, InvalidOptionError, listing
from .clustering import metadata_column
from .clusters import Clusters
from .expression.kinds import look_at
from .options import whole_number

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .study import Study


@dataclass(frozen=True, eq=False)
class Pseudobulk:
    """Sums of counts, and what each column is.

    Attributes
    ----------
    counts
        Genes x columns, int64.
    genes
        Names of the rows.
    samples
        One row for each column, in order; its index names the columns: ``cluster``, ``sample``
        (where there is one), ``n_cells`` and the metadata that was asked for.
    """

    counts: NDArray[np.int64]
    genes: tuple[str, ...]
    samples: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the counts with names: genes x columns."""
        import pandas as pd

        return pd.DataFrame(self.counts, index=list(self.genes), columns=self.samples.index)


def pseudobulk_of(
    study: Study,
    *,
    sample_key: str | None = None,
    columns: Sequence[str] = (),
    min_cells: int = 1,
) -> Pseudobulk:
    """Return the sums of the counts of a study over its clusters, apart for each sample.

    Parameters
    ----------
    study
        With clusters, raw counts and metadata. Cells without a cluster or sample are left out.
    sample_key
        Column of metadata with the samples; None: one column for each cluster.
    columns
        Further columns of metadata, such as condition and batch, which must have one value in each
        sample.
    min_cells
        Columns of fewer cells are left out.

    Raises
    ------
    EngineNeedsError
        There are no raw counts.
    GroupMissingError
        There is no such column of metadata.
    InvalidOptionError
        A column has several values in one sample.
    """
    import pandas as pd
    from scipy.sparse import csr_matrix

    least = whole_number("min_cells", min_cells, 1)
    source = study.counts
    if source is None or look_at(source).kind not in {"counts", "empty"}:
        message = "Pseudobulk sums are of raw counts, and there are none."
        raise EngineNeedsError(message, 'Keep the counts: layers["counts"], or raw.')
    clusters = study.clusters
    assert clusters.codes is not None
    samples = Clusters(("",), np.zeros(len(clusters.codes), np.int32))
    if sample_key is not None:
        samples = Clusters.from_column(metadata_column(study.obs, sample_key))
    assert samples.codes is not None
    n = len(samples.names)
    both = (clusters.codes >= 0) & (samples.codes >= 0)
    joint = np.where(both, clusters.codes * n + samples.codes, -1)
    sizes = np.bincount(joint[both], minlength=len(clusters.names) * n)
    kept = np.flatnonzero(sizes >= least)
    place = np.full(len(sizes), -1)
    place[kept] = np.arange(len(kept))
    of_cell = np.where(both, place[joint], -1)
    sums = np.zeros((len(kept), source.shape[1]))
    for start, block in source:
        mine = of_cell[start : start + block.shape[0]]
        rows = np.flatnonzero(mine >= 0)
        shape = (len(kept), block.shape[0])
        chosen = csr_matrix((np.ones(len(rows)), (mine[rows], rows)), shape=shape)
        sums += (chosen @ block).toarray()
    frame = pd.DataFrame({"cluster": [clusters.names[i // n] for i in kept]})
    if sample_key is not None:
        frame["sample"] = [samples.names[i % n] for i in kept]
    frame["n_cells"] = sizes[kept]
    for name in columns:
        frame[name] = pd.Series(_of_columns(study, name, of_cell, len(kept)), dtype=object)
    titles = [clusters.names[i // n] for i in kept]
    if sample_key is not None:
        titles = [f"{title}|{samples.names[i % n]}" for title, i in zip(titles, kept, strict=True)]
    frame.index = pd.Index(titles, dtype=object)
    return Pseudobulk(np.rint(sums.T).astype(np.int64), tuple(source.genes), frame)


def _of_columns(study: Study, name: str, of_cell: NDArray[np.integer], n: int) -> list[object]:
    """Return the one value of a column of metadata in the cells of each column of sums."""
    values = metadata_column(study.obs, name)
    found: list[object] = []
    for column in range(n):
        seen = values[of_cell == column].dropna().unique()
        if len(seen) > 1:
            message = (
                f'"{name}" has several values in one column of the sums: '
                f"{listing([str(v) for v in seen], 4)}."
            )
            raise InvalidOptionError(message, "Name a column that is the same within each sample.")
        found.append(seen[0] if len(seen) else None)
    return found
