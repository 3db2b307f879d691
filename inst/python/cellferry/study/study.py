"""Study: what an engine reads.

A study is read-only, knows neither Seurat nor AnnData nor an engine, and nothing
done to it changes the user's object. Each part may be absent; :meth:`Study.require`
says which part is missing and how to give it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sized
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..errors import EngineNeedsError, GroupEmptyError, InvalidObjectError, listing
from .clusters import Clusters
from .expression.source import ExpressionSource
from .options import or_none, text

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from .expression.gene_summary import GeneSummary
    from .expression.lookup import Lookup
    from .markers.table import Markers
    from .parents import Parents


@dataclass(frozen=True)
class Context:
    """What is known about the experiment beside the data.

    Attributes
    ----------
    species_from
        Where ``species`` comes from: the user stated it, or it was found from the genes.

    Raises
    ------
    InvalidOptionError
        Tissue, species or study context are no text.
    """

    tissue: str | None = None
    species: str | None = None
    study_context: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    species_from: Literal["stated", "genes"] = "stated"

    def __post_init__(self) -> None:
        for name in ("tissue", "species", "study_context"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                hint = {
                    "tissue": 'Several tissues are one text too: "blood, lung".',
                    "species": "Write its name, or its number in the NCBI taxonomy as text.",
                }.get(name, "")
                or_none(text, name, value, hint=hint)


@dataclass(frozen=True, eq=False)
class Absent:
    """Cells of an object that the assay does not have, such as those that a sketch left out.

    They were not measured, so they are no zeros and in no figure: a study is of the others. Only
    the label of their cluster reaches them.

    Attributes
    ----------
    cells
        Names.
    codes
        One int32 per cell: position in the names of the study's clusters, or -1.
    """

    cells: tuple[str, ...]
    codes: NDArray[np.int32]


@dataclass(frozen=True)
class Study:
    """Everything an engine may read. See the module's description.

    Attributes
    ----------
    clusters
        Cluster of each cell, and the order of clusters.
    group_key
        Name of the metadata column that the clusters came from.
    cells
        Cell names, n.
    absent
        The cells of the object that the assay does not have; None where it has all.
    genes
        All gene names of the object.
    gene_names
        Symbol -> the name that the object has for the gene, where symbols were put in place of
        other identifiers; None where the object's names are the symbols.
    markers
        The full marker table; each engine calls ``markers.select``.
    normalized, counts
        Expression sources, cells x genes: log-normalised values, raw counts.
    coordinates
        Name of the embedding and its n x 2 numbers.
    obs
        Cell metadata, n rows.
    var
        Gene metadata, one row for each of ``genes``.
    embeddings
        All embeddings by name, each n x dimensions; NaN for cells that one does not have.
    graph
        Name of the neighbour graph and its n x n weights: the neighbours of a cell are its row.
    assay
        Name of the assay that was read, where the object has several.
    other_assays
        Of each other assay, some of its features.
    counts_in
        Where the AnnData has its raw counts, such as ``layers["counts"]``, for messages.
    recognised
        What was found of the names of the genes, once it was checked; see
        :class:`cellferry.study.symbols.Recognised`.
    lookup
        Where figures of genes are looked up, if the matrix is not among the parts.
    parents
        What an earlier annotation says of the clusters, where only parts of its clusters are asked.
    quality
        Columns of the metadata by which the quality of clusters is judged, n rows, where ``obs`` is
        not among the parts. No engine reads them.
    figures
        Share and mean of every gene in every cluster, where a search for markers read the values.
    """

    clusters: Clusters
    group_key: str | None = None
    cells: tuple[str, ...] | None = None
    absent: Absent | None = None
    genes: tuple[str, ...] | None = None
    gene_names: Mapping[str, str] | None = None
    markers: Markers | None = None
    normalized: ExpressionSource | None = None
    counts: ExpressionSource | None = None
    coordinates: tuple[str, NDArray[np.number]] | None = None
    obs: pd.DataFrame | None = None
    var: pd.DataFrame | None = None
    embeddings: Mapping[str, NDArray[np.float64]] | None = None
    graph: tuple[str, csr_matrix] | None = None
    assay: str | None = None
    other_assays: Mapping[str, tuple[str, ...]] | None = None
    counts_in: str | None = None
    recognised: Mapping[str, Any] | None = None
    lookup: Lookup | None = None
    parents: Parents | None = None
    quality: pd.DataFrame | None = None
    figures: GeneSummary | None = None
    context: Context = field(default_factory=Context)

    def __post_init__(self) -> None:
        # Cells may be without any clustering; a column that names no cluster is a mistake.
        unclustered = self.cells is not None and self.group_key is None
        if not self.clusters.names and not unclustered:
            where = f'"{self.group_key}"' if self.group_key else "The clusters"
            message = f"{where} names no cluster: every value is missing or there are no cells."
            raise GroupEmptyError(message, "Cluster the cells first, or choose another column.")
        self._check_length("clusters", self.clusters.codes)
        if self.coordinates is not None:
            self._check_length(f'coordinates "{self.coordinates[0]}"', self.coordinates[1])
        self._check_length("obs", self.obs)
        for name, values in (self.embeddings or {}).items():
            self._check_length(f'the embedding "{name}"', values)
        if self.cells is not None and len(set(self.cells)) != len(self.cells):
            seen: set[str] = set()
            twice = [c for c in self.cells if c in seen or seen.add(c)]  # type: ignore[func-returns-value]
            message = f"Cell names must be unique, and {len(twice)} are not: {listing(twice, 3)}."
            raise InvalidObjectError(message, "Rename the cells and try again.")

    def _check_length(self, what: str, values: Sized | None) -> None:
        if self.cells is not None and values is not None and len(values) != len(self.cells):
            message = f"There are {len(self.cells)} cells but {what} has {len(values)} values."
            raise InvalidObjectError(message)

    def with_parts(self, **parts: Any) -> Study:
        """Return a copy in which some parts are replaced."""
        return replace(self, **parts)

    @overload
    def require(self, part: Literal["markers"], engine: str) -> Markers: ...

    @overload
    def require(self, part: Literal["normalized", "counts"], engine: str) -> ExpressionSource: ...

    @overload
    def require(self, part: Literal["cells"], engine: str) -> tuple[str, ...]: ...

    @overload
    def require(self, part: str, engine: str) -> object: ...

    def require(self, part: str, engine: str) -> object:
        """Return a part that must be there.

        Parameters
        ----------
        part
            Name of a part, such as ``"counts"``.
        engine
            Who needs it, for the message.

        Raises
        ------
        EngineNeedsError
            The study has none.
        """
        value = getattr(self, part)
        if value is not None:
            return value
        message = f'The engine "{engine}" needs {_PARTS[part][0]}, and this study has none.'
        hint = _PARTS[part][1]
        if part == "normalized" and self.cells is not None:
            message = (
                f'The engine "{engine}" needs log-normalised values or raw counts, and the object '
                "has neither: what it has is scaled, or nothing."
            )
            hint = (
                "Start again from the counts, and normalise them: NormalizeData(x) in R; "
                "scanpy.pp.normalize_total(adata, target_sum=1e4); scanpy.pp.log1p(adata)."
            )
        raise EngineNeedsError(message, hint, part=part)

    def fingerprint(self) -> str:
        """Return a hash of cell names and clusters: the same object, the same hash.

        The order of cells does not count, so a reordered object is still the same.
        """
        digest = hashlib.sha256()
        digest.update(json.dumps(sorted(self.clusters.names)).encode())
        if self.cells is not None and self.clusters.codes is not None:
            names = [*self.clusters.names, None]
            pairs = sorted(
                f"{cell}\x1f{names[code]}"
                for cell, code in zip(self.cells, self.clusters.codes, strict=True)
            )
            digest.update("\x1e".join(pairs).encode())
        return digest.hexdigest()


_PARTS: dict[str, tuple[str, str]] = {
    "markers": (
        "a marker table",
        "Pass markers=, or run FindAllMarkers() or scanpy.tl.rank_genes_groups() first.",
    ),
    "normalized": ("normalised expression", "Pass the object itself, not only its marker table."),
    "counts": ("raw counts", "Keep the counts in the object's counts layer."),
    "coordinates": ("an embedding", "Run UMAP or another two-dimensional embedding first."),
    "obs": ("cell metadata", "Pass the object itself, not only its marker table."),
    "var": ("gene metadata", "Pass the object itself, not only its marker table."),
    "embeddings": ("an embedding", "Run PCA or UMAP first."),
    "graph": ("a neighbour graph", "Run FindNeighbors() or scanpy.pp.neighbors() first."),
    "cells": ("cells", "Pass the object itself, not only its marker table."),
}
