"""A doublet score where no column of the object has one: Scrublet, of scanpy, if it is installed.

Source: Wolock, Lopez and Klein, Scrublet, Cell Systems 8:281 (2019).
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DependencyError, InvalidObjectError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

METHOD = "Scrublet of scanpy"
THRESHOLD = 0.25
"""A higher score is a doublet. Fixed, so that it does not hang on the shape of a histogram."""
FEWEST_CELLS = 100


def check_installed() -> None:
    """Raise :class:`DependencyError` if scanpy is not installed."""
    if importlib.util.find_spec("scanpy") is None:
        message = "Doublets are scored by Scrublet of scanpy, which is not installed."
        hint = 'Install it: pip install "scanpy>=1.10". Or leave out doublets = "compute".'
        raise DependencyError(message, hint)


def scores_of(blocks: Iterable[tuple[int, csr_matrix]], n_cells: int) -> NDArray[np.float64]:
    """Return the doublet score of each cell, 0 to 1. All counts are in memory meanwhile.

    Parameters
    ----------
    blocks
        Raw counts, cells x genes, in order.
    n_cells
        How many there are.

    Raises
    ------
    DependencyError
        scanpy is not installed.
    InvalidObjectError
        There are too few cells, or Scrublet cannot score them.
    """
    check_installed()
    if n_cells < FEWEST_CELLS:
        message = f"{n_cells} cells are too few to score doublets; {FEWEST_CELLS} are needed."
        raise InvalidObjectError(message, 'Leave out doublets = "compute".')
    import anndata
    import scanpy
    from scipy.sparse import vstack

    counts = vstack([block.astype(np.float32) for _, block in blocks], format="csr")
    kept = np.asarray(counts.sum(axis=1)).ravel() > 0
    adata = anndata.AnnData(counts[kept])
    try:
        scanpy.pp.scrublet(adata, threshold=THRESHOLD, random_state=0, verbose=False)
    except Exception as error:
        # What it makes of odd data depends on half a dozen packages.
        message = f"Scrublet cannot score these cells: {str(error).splitlines()[0]}"
        raise InvalidObjectError(message, 'Leave out doublets = "compute".') from error
    found = np.zeros(n_cells)
    found[kept] = adata.obs["doublet_score"].to_numpy(dtype=np.float64)
    return found
