"""Which matrix of an AnnData holds log-normalised values, and which raw counts.

One policy for all who read an AnnData. Values decide, not names:

- Log-normalised values are looked for in ``X``, ``raw`` and the layers of
  :data:`NORMALIZED_LAYERS`. The one with the most genes is read, so ``raw`` where ``X`` has only
  the variable genes or is scaled, as scanpy leaves it, and ``X`` where ``raw`` has the counts, as
  in files of CELLxGENE. Of those with the same genes ``X`` is read, unless it is filled with
  values where ``raw`` has none: then it was imputed or corrected.
- Raw counts are looked for in the layers of :data:`COUNTS_LAYERS`, ``raw`` and ``X``.

Looking at one matrix takes some 10 ms in memory and some 200 ms in a file, see
:mod:`cellferry.study.expression.kinds`; none is read whole, and none is looked at twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from ..biology.text import token_of
from ..errors import listing
from .expression.kinds import Kind, Look, look_at
from .expression.matrix import MatrixSource
from .expression.source import Matrix

if TYPE_CHECKING:
    import anndata
    import pandas as pd

logger = logging.getLogger("cellferry")

COUNTS_LAYERS = ("counts", "rawcounts", "count", "raw", "umi", "umis", "umicounts")
"""Usual names of a layer of raw counts as :func:`token_of` gives them, the best first."""
NORMALIZED_LAYERS = (
    "log1p", "lognorm", "lognormalized", "lognormalised", "lognormcounts", "logcounts", "log1pnorm",
    "log1pcounts", "log1pnormalized", "logdata", "log", "normalized", "normalised", "norm", "data",
)  # fmt: skip
"""Usual names of a layer of log-normalised values."""

_PREFERENCE: tuple[Kind, ...] = ("normalized", "linear", "damaged", "counts", "scaled", "empty")
_OF_CELLS: tuple[Kind, ...] = ("normalized", "linear", "damaged", "empty")
_FILLED = 2.0
"""How many times the values of ``raw`` make an ``X`` that was filled."""


@dataclass(frozen=True, eq=False)
class OpenRaw:
    """The ``raw`` of an .h5ad that is open."""

    X: Matrix
    var: pd.DataFrame


@dataclass(frozen=True, eq=False)
class OpenH5ad:
    """An .h5ad that is open, with the names of an AnnData; matrices are in the file.

    Attributes
    ----------
    X, layers
        Matrices of cells x genes; ``X`` may be None.
    raw
        Another matrix of the same cells and its genes, or None.
    obs, var
        Metadata of the n cells and of the genes.
    obsm
        Embeddings, n cells x dimensions.
    uns
        All else.
    """

    X: Matrix
    raw: OpenRaw | None
    layers: Mapping[str, Matrix]
    obs: pd.DataFrame
    var: pd.DataFrame
    obsm: Mapping[str, object]
    uns: Mapping[str, object]


AnnDataLike: TypeAlias = "anndata.AnnData | OpenH5ad"


@dataclass(frozen=True, eq=False)
class Place:
    """A matrix of an AnnData.

    Attributes
    ----------
    name
        As it is written in Python: ``X``, ``raw.X``, ``layers["counts"]``.
    owner
        What messages about its genes call it: ``X``, ``raw``, ``layers["counts"]``.
    matrix
        Cells x genes, in memory or not.
    var
        Metadata of its genes.
    layer
        Its name, if it is a layer.
    """

    name: str
    owner: str
    matrix: Matrix
    var: pd.DataFrame
    layer: str | None = None

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(map(str, self.var.index))

    @cached_property
    def source(self) -> MatrixSource:
        """All of it."""
        return MatrixSource(self.matrix, self.genes)

    @cached_property
    def look(self) -> Look:
        """What its values look like."""
        return look_at(self.source)

    def of_genes(self, genes: Sequence[str]) -> tuple[MatrixSource | None, str]:
        """Return it with just these genes in this order, or why that cannot be done."""
        if self.genes == tuple(genes):
            return self.source, ""
        known = set(self.genes)
        missing = [g for g in genes if g not in known]
        if missing:
            text = f"{len(missing)} genes are not in {self.owner}: {listing(missing, 3)}"
            return None, text
        if len(known) < len(self.genes):
            return None, "its gene names are not unique"
        return self.source.only(genes), ""


@dataclass(frozen=True)
class Matrices:
    """What was chosen, and where counts were looked for.

    Attributes
    ----------
    normalized, counts
        None where there are none.
    places_of_counts
        The best first, whatever they contain.
    """

    normalized: Place | None
    counts: Place | None
    places_of_counts: tuple[Place, ...]

    def log(self) -> None:
        """Say what was chosen."""
        if self.normalized is not None:
            name, kind = self.normalized.name, self.normalized.look.kind
            if kind == "normalized":
                logger.info("Log-normalised values are read from %s.", name)
            else:
                logger.info("Nothing is log-normalised: %s is read, which is %s.", name, kind)
        if self.counts is not None:
            logger.info("Raw counts are in %s.", self.counts.name)


def choose_matrices(adata: AnnDataLike, *, any_kind: bool = False) -> Matrices:
    """Choose the log-normalised values and the raw counts of an AnnData.

    Parameters
    ----------
    adata
        In memory or backed, or an .h5ad that is open.
    any_kind
        Where nothing is log-normalised, the best there is takes its place, also counts or
        scaled values. Else only such values do as can be normalised, and counts only count as
        counts.
    """
    x, raw = _main(adata)
    for_counts = (*_layers(adata, COUNTS_LAYERS), *_present(raw, x))
    counts = next((p for p in for_counts if p.look.kind == "counts"), None)
    places = (*_present(x, raw), *_layers(adata, NORMALIZED_LAYERS))
    kinds = _PREFERENCE if any_kind else _OF_CELLS
    if not any_kind and counts is not None:
        # What is damaged is read all the same, and refused by whoever reads it, with the reason.
        kinds = ("normalized", "linear", "damaged")
    normalized = _best(places, kinds)
    if normalized is x is not None and raw is not None and _is_filled(x, raw):
        normalized = raw
    return Matrices(normalized, counts, for_counts)


def places_of(adata: AnnDataLike) -> dict[str, Place]:
    """Return the matrices of an AnnData that may be read, by their names, ``X`` first.

    Parameters
    ----------
    adata
        As of :func:`choose_matrices`.
    """
    named = _layers(adata, (*COUNTS_LAYERS, *NORMALIZED_LAYERS))
    return {place.name: place for place in (*_present(*_main(adata)), *named)}


def _main(adata: AnnDataLike) -> tuple[Place | None, Place | None]:
    x = None if adata.X is None else Place("X", "X", adata.X, adata.var)
    stored = adata.raw
    if stored is None or stored.X is None:
        return x, None
    return x, Place("raw.X", "raw", stored.X, stored.var)


def _present(*places: Place | None) -> tuple[Place, ...]:
    return tuple(place for place in places if place is not None)


def _layers(adata: AnnDataLike, names: Sequence[str]) -> tuple[Place, ...]:
    # From anndata 0.13 on X is also the layer None.
    found = {name: token_of(str(name)) for name in adata.layers if name is not None}
    ordered = sorted((n for n in found if found[n] in names), key=lambda n: names.index(found[n]))
    titles = (f'layers["{name}"]' for name in ordered)
    return tuple(
        Place(title, title, adata.layers[name], adata.var, name)
        for title, name in zip(titles, ordered, strict=True)
    )


def is_named_layer(name: str) -> bool:
    """Whether a layer may be read: its name is a usual one.

    Examples
    --------
    >>> is_named_layer("raw_counts"), is_named_layer("spliced")
    (True, False)
    """
    return token_of(name) in {*COUNTS_LAYERS, *NORMALIZED_LAYERS}


def _best(places: Sequence[Place], kinds: Sequence[Kind]) -> Place | None:
    """Return the place of the best kind, and of those the one with the most genes."""
    by_genes = sorted(places, key=lambda p: -len(p.genes))
    for place in by_genes:
        if place.look.kind == kinds[0]:
            return place
    usable = [p for p in by_genes if p.look.kind in kinds]
    # Of two that are not log-normalised raw is the less worked on.
    return min(
        usable,
        key=lambda p: (kinds.index(p.look.kind), -len(p.genes), p.name != "raw.X"),
        default=None,
    )


def _is_filled(x: Place, raw: Place) -> bool:
    """Whether X has values where raw, which is log-normalised too, has none."""
    if x.look.kind != "normalized" or set(x.genes) != set(raw.genes):
        return False
    if not x.source.in_memory or raw.look.kind != "normalized":
        return False
    here, there = x.source.stored_values, raw.source.stored_values
    # A dense matrix has a value everywhere; so may the raw that it was made of.
    here = len(x.genes) * x.source.shape[0] if here is None else here
    return there is not None and here >= _FILLED * there
