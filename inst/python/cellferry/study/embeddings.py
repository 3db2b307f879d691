"""Which embedding of an object is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GroupMissingError, listing

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

EMBEDDINGS = ("X_umap", "X_tsne", "X_pca")
"""What is looked for, the best first."""


def choose_embedding(
    available: Mapping[str, object], n_cells: int, key: str | None = None
) -> tuple[str, NDArray[np.number]] | None:
    """Return name and n x 2 values of the embedding to use, or None.

    The key comes first, then UMAP, t-SNE and PCA; the case of letters does not count. An
    embedding needs one row per cell and two columns of numbers, whose type is kept.

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
    by_lower = {str(name).lower(): name for name in reversed(list(available))}
    for wanted in (*([] if key is None else [key]), *EMBEDDINGS):
        name = wanted if wanted in available else by_lower.get(wanted.lower())
        if name is None:
            continue
        values = np.asarray(available[name])
        numeric = values.dtype.kind in "fiu"
        if numeric and values.ndim == 2 and values.shape[0] == n_cells and values.shape[1] >= 2:
            return str(name), values[:, :2]
    return None


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
