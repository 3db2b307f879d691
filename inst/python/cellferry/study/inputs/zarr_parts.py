"""The parts of an AnnData in a group of zarr: metadata is read, matrices are not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..layers import OpenH5ad, OpenRaw, is_named_layer


def parts_of_group(group: Any, uns: Collection[str]) -> OpenH5ad:
    """Return the parts of an AnnData.

    Parameters
    ----------
    group
        Of zarr, open.
    uns
        What is read of ``uns``.
    """
    from anndata.io import read_elem

    layers, stored = group.get("layers") or {}, group.get("uns") or {}
    raw = None
    if "raw/X" in group:
        raw = OpenRaw(_left(group["raw/X"]), read_elem(group["raw/var"]))
    return OpenH5ad(
        X=_left(group["X"]) if "X" in group else None,
        raw=raw,
        layers={key: _left(layers[key]) for key in layers if is_named_layer(key)},
        obs=read_elem(group["obs"]),
        var=read_elem(group["var"]),
        obsm=read_elem(group["obsm"]) if "obsm" in group else {},
        uns={key: read_elem(stored[key]) for key in uns if key in stored},
    )


def _left(item: Any) -> Any:
    """Return a matrix that stays where it is: sparse, or a dense array."""
    from anndata.io import sparse_dataset

    return item if hasattr(item, "chunks") else sparse_dataset(item)
