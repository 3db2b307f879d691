"""What an artifact is built from, taken out of an AnnData, an .h5ad file or a Study."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import (
    CoordinatesWarning,
    GroupMissingError,
    InvalidObjectError,
    UnsupportedObjectError,
)
from ..study.build import (
    assemble_study,
    group_key_missing,
    group_key_of,
    refuse_no_clustering,
)
from ..study.clustering import FEW_CELLS
from ..study.clusters import cluster_text
from ..study.embeddings import choose_embedding
from ..study.expression.kinds import Look
from ..study.expression.source import ExpressionSource
from ..study.inputs.lazy import read_of_lazy
from ..study.inputs.objects import anndata_of, check_has_clusters
from ..study.inputs.several import Files, opened_place, place_of
from ..study.layers import AnnDataLike, Matrices, Place, choose_matrices
from ..study.markers.read import Ranking, is_ranking
from ..study.study import Study

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Candidate:
    """A matrix that may be raw counts, cells x the genes of the study.

    ``look`` is what was seen of its values, where somebody has looked at them.
    """

    name: str
    source: ExpressionSource | None
    problem: str = ""
    look: Look | None = None


@dataclass(frozen=True)
class Inputs:
    """Everything a build reads.

    Attributes
    ----------
    study
        Clusters, cells, genes, normalised matrix, obs, coordinates.
    var
        Metadata of the genes, in the order of the matrix.
    candidates
        Where raw counts may be, the best place first.
    ranking
        What is stored as the ranking of genes, or None.
    """

    study: Study
    var: pd.DataFrame
    candidates: tuple[Candidate, ...] = ()
    ranking: Ranking | None = field(default=None, repr=False)


@contextmanager
def open_inputs(
    data: AnnDataLike | str | os.PathLike[str] | Files | Sequence[Any] | Study | Inputs,
    *,
    group_key: str | None,
    coordinates_key: str,
    rank_key: str,
) -> Iterator[Inputs]:
    """Yield the inputs of an AnnData, of the path of one (read piece by piece) or several, of
    a :class:`Study`, or the inputs themselves.

    Parameters
    ----------
    data
        What is read.
    group_key
        Column of ``obs`` with the clusters.
    coordinates_key
        The wanted embedding.
    rank_key
        Where in ``uns`` the ranking is.

    Raises
    ------
    UnsupportedObjectError, InvalidObjectError, GroupMissingError, GroupEmptyError, InputError
    """
    data = read_of_lazy(anndata_of(data))
    if isinstance(data, Inputs):
        yield data
    elif isinstance(data, Study):
        yield _from_study(data, group_key)
    elif (place := place_of(data)) is not None:
        with opened_place(place, [rank_key]) as opened:
            check_has_clusters(opened, place)
            yield _from_anndata(opened, group_key, coordinates_key, rank_key)
    elif all(hasattr(data, name) for name in ("obs", "var", "obsm", "layers", "X")):
        yield _from_anndata(data, group_key, coordinates_key, rank_key)
    else:
        message = f"Artifacts cannot be built from an object of type {type(data).__name__}."
        raise UnsupportedObjectError(message, "Valid: AnnData, the path of one, or a Study.")


def _from_study(study: Study, group_key: str | None) -> Inputs:
    import pandas as pd

    source = study.require("normalized", "artifacts")
    if group_key is not None and group_key != study.group_key:
        message = f'The study was made with the clusters "{study.group_key}", not "{group_key}".'
        raise GroupMissingError(message)
    study = _with_clusters(_checked(study, source))
    candidates: tuple[Candidate, ...] = ()
    if study.counts is not None:
        same = study.counts.genes == source.genes
        # An SCT assay, for example, has counts of other genes; vars.h5 has one order of genes.
        text = "its genes are not those of the normalised values"
        found = Candidate("counts", study.counts) if same else Candidate("counts", None, text)
        candidates = (found,)
    index = pd.Index(source.genes, dtype=object)
    known = study.var is not None and len(study.var) == len(index)
    var = (
        study.var.set_axis(index) if known and study.var is not None else pd.DataFrame(index=index)
    )
    return Inputs(study, var, candidates)


def _with_clusters(study: Study) -> Study:
    """Return the study with its clusters as a column: R's identity is none of the metadata."""
    import pandas as pd

    obs, key = study.obs, study.group_key
    if obs is None or key is None or key in {str(c) for c in obs.columns}:
        return study
    assert study.clusters.codes is not None
    names = pd.Index(study.clusters.names, dtype=object)
    clusters = pd.Categorical.from_codes(study.clusters.codes, names)
    column = pd.Series(clusters, index=obs.index, name=key)
    return replace(study, obs=pd.concat([obs, column], axis=1))


def _checked(study: Study, source: ExpressionSource) -> Study:
    n = source.shape[0]
    codes = study.clusters.codes
    if codes is None or len(codes) != n or (study.obs is not None and len(study.obs) != n):
        message = f"The matrix has {n} cells, and clusters or metadata do not have as many."
        raise InvalidObjectError(message)
    return replace(study, genes=tuple(source.genes))


def _from_anndata(
    adata: AnnDataLike, group_key: str | None, coordinates_key: str, rank_key: str
) -> Inputs:
    if group_key is None:
        raise group_key_missing([str(c) for c in adata.obs.columns])
    group_key = group_key_of(adata, group_key)
    found = choose_matrices(adata, any_kind=True)
    if found.normalized is None:
        message = "This AnnData has no X, and X holds the log-normalised values."
        raise InvalidObjectError(message, "Copy the normalised layer to adata.X.")
    coordinates = _coordinates(adata.obsm, coordinates_key, len(adata.obs))
    study = assemble_study(adata, group_key, found, coordinates)
    if len(adata.obs) >= FEW_CELLS:
        # Files can be built of a few cells, as nothing is computed that needs more.
        refuse_no_clustering(study, adata.obs)
    ranking = adata.uns.get(rank_key)
    return Inputs(
        study,
        found.normalized.var,
        tuple(_candidates(found, found.normalized)),
        ranking if is_ranking(ranking) else None,
    )


def _candidates(found: Matrices, normalized: Place) -> Iterator[Candidate]:
    """Yield the places where counts may be; that of the normalised values as the very same source.

    One read then feeds both matrices.
    """
    places = found.places_of_counts
    layers = [p for p in places if p.name not in {"X", "raw.X"}]
    if not layers:
        yield Candidate('layers["counts"]', None, "there is no such layer")
    for place in layers:
        yield _candidate(place, normalized)
    for name in ("raw.X", "X"):
        there = next((p for p in places if p.name == name), None)
        if there is not None:
            yield _candidate(there, normalized)
        elif name == "raw.X":
            yield Candidate(name, None, "there is no raw")


def _candidate(place: Place, normalized: Place) -> Candidate:
    source, problem = place.of_genes(normalized.genes)
    return Candidate(place.name, source, problem, None if source is None else place.look)


def _coordinates(
    obsm: Mapping[str, object], key: str, n_cells: int
) -> tuple[str, NDArray[np.number]] | None:
    found = choose_embedding(obsm, n_cells, key)
    if found is None:
        message = f'There is no embedding "{key}" in obsm, nor another of numbers without NaN.'
        hint = "The report will have no picture of the cells; run scanpy.tl.umap for one."
        warnings.warn(CoordinatesWarning(message, hint), stacklevel=5)
    elif found[0].lower() != key.lower():
        message = f'There is no usable embedding "{key}" in obsm; "{found[0]}" is used.'
        warnings.warn(CoordinatesWarning(message), stacklevel=5)
    return found


def top_genes(
    ranking: Ranking | None, genes: Sequence[str], n_top_genes: int, study: Study
) -> dict[str, tuple[str, ...]]:
    """Return cluster -> the first genes of its ranking, in the stored order.

    As the published client does: of the first ``n_top_genes``, those that the matrix does
    not have are left out. A ranking of another column gives nothing.

    Parameters
    ----------
    ranking
        What is stored, or None.
    genes
        Names in the matrix.
    n_top_genes
        How many of each group are looked at.
    study
        Whose clusters and group they must be.
    """
    if ranking is None:
        return {}
    params, names = ranking.get("params", {}), ranking.get("names")
    described = getattr(getattr(names, "dtype", None), "names", None)
    if names is None or described is None or params.get("groupby") != study.group_key:
        return {}
    known, found = set(genes), {}
    for group in described:
        cluster = cluster_text(group)
        if cluster in study.clusters.names:
            best = [str(g) for g in names[group][:n_top_genes]]
            found[str(cluster)] = tuple(g for g in best if g in known)
    return found
