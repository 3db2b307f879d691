"""Which embedding of an object is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GroupMissingError, listing

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

KINDS = ("umap", "tsne", "pca")
"""What is looked for in the names, the best first; the same in R, ``object-read.R``.

``tests/fixtures/embedding_choice.json`` is the table that both are tested with.
"""


def choose_embedding(
    available: Mapping[str, object], n_cells: int, key: str | None = None
) -> tuple[str, NDArray[np.number]] | None:
    """Return name and n x 2 values of the embedding to use, or None.

    The key comes first, then UMAP, t-SNE and PCA: of each the embedding of that very name, then
    one whose name contains it; then the first of any name. The case of letters, ``X_`` and
    hyphens do not count. An embedding needs one row per cell and two columns of numbers, whose
    type is kept. One that lacks some cells (NaN) is only taken where it is the key's, or where
    there is none of all cells.

    Parameters
    ----------
    available
        Name -> array or data frame, n cells x dimensions, such as ``adata.obsm``.
    n_cells
        Rows that an embedding must have.
    key
        The wanted name; None has no wish.

    Examples
    --------
    >>> choose_embedding({"X_pca": np.zeros((3, 9)), "X_UMAP": np.zeros((3, 2))}, 3)[0]
    'X_UMAP'
    """
    names = sorted((str(name) for name in available), key=_preference)
    if key is not None:
        names.sort(key=lambda name: 0 if name == key else 1 if name.lower() == key.lower() else 2)
    partial = None
    for name in names:
        values = np.asarray(available[name])
        numbers = values.dtype.kind in "fiu" and values.ndim == 2
        if not numbers or values.shape[0] != n_cells or values.shape[1] < 2:
            continue
        found, missing = (name, values[:, :2]), np.isnan(values[:, :2]).any(axis=1)
        wanted = key is not None and name.lower() == key.lower()
        if not missing.any() or (wanted and not missing.all()):
            return found
        if partial is None and not missing.all():
            partial = found
    return partial


def _preference(name: str) -> int:
    """Return the place of a name in the order of choice; 0 is the best."""
    plain = name.lower().removeprefix("x_").replace("-", "")
    for i, kind in enumerate(KINDS):
        if kind in plain:
            return 2 * i + (plain != kind)
    return 2 * len(KINDS)


def embedding_of(
    adata: anndata.AnnData, key: str | None = None
) -> tuple[str, NDArray[np.number]] | None:
    """Return the embedding of an AnnData to use, or None; one that is named must be there.

    Parameters
    ----------
    adata
        Its ``obsm`` is looked at.
    key
        Name of an embedding that must be there; None takes the best.

    Raises
    ------
    GroupMissingError
        There is no embedding of that name.
    """
    if key is not None and key not in adata.obsm:
        valid = listing([str(k) for k in adata.obsm])
        message = f'There is no embedding "{key}" in obsm; there is {valid}.'
        raise GroupMissingError(message)
    return choose_embedding(adata.obsm, len(adata.obs), key)
