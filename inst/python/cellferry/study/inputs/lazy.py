"""An AnnData of ``anndata.experimental.read_lazy()``: what is small is read, matrices are not."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

from ..layers import OpenH5ad, OpenRaw, is_named_layer

Data = TypeVar("Data")


def is_lazy_anndata(data: Any) -> bool:
    """Whether this is an AnnData whose metadata is not read yet."""
    return hasattr(data, "obsm") and hasattr(getattr(data, "obs", None), "to_memory")


def read_of_lazy(data: Data) -> Data | OpenH5ad:
    """Return the parts of a lazy AnnData, with its matrices left where they are.

    Metadata of cells and genes and the embeddings are read; layers are those that may be
    expression. Anything else is returned as it is.

    Parameters
    ----------
    data
        What may be a lazy AnnData.
    """
    lazy: Any = data
    if not is_lazy_anndata(lazy):
        return data
    with warnings.catch_warnings():
        # anndata says so of what it calls experimental.
        warnings.simplefilter("ignore", FutureWarning)
        raw = lazy.raw
        return OpenH5ad(
            X=lazy.X,
            raw=None if raw is None else OpenRaw(raw.X, _in_memory(raw.var)),
            layers={key: lazy.layers[key] for key in lazy.layers if key and is_named_layer(key)},
            obs=_in_memory(lazy.obs),
            var=_in_memory(lazy.var),
            obsm={key: _in_memory(value) for key, value in lazy.obsm.items()},
            uns=lazy.uns,
        )


def graph_of_lazy(data: Any, name: str) -> Any:
    """Read one matrix of ``obsp`` of a lazy AnnData; None where there is none of that name."""
    graphs: Mapping[str, Any] = data.obsp
    return _in_memory(graphs[name]) if name in graphs else None


def write_into_lazy(data: Any, metadata: Any) -> None:
    """Write columns and ``uns`` that were written into the metadata of a lazy AnnData into it.

    Parameters
    ----------
    data
        The lazy AnnData; its file stays as it is.
    metadata
        An AnnData without values, made of its ``obs`` and ``uns``, that was labelled.
    """
    before = read_of_lazy(data).obs
    for name in metadata.obs.columns:
        if name not in before.columns or not before[name].equals(metadata.obs[name]):
            data.obs[name] = metadata.obs[name]
    gone = [name for name in before.columns if name not in metadata.obs.columns]
    if gone:
        data.obs = data.obs.ds.drop_vars(gone) if hasattr(data.obs, "ds") else metadata.obs
    for key, value in metadata.uns.items():
        data.uns[key] = value


def _in_memory(part: Any) -> Any:
    for name in ("to_memory", "compute"):
        if hasattr(part, name):
            return getattr(part, name)()
    return part
