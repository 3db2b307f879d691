"""Several files as one object: cells one after the other, and the genes that all of them have."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...biology.recognition import detect_species
from ...errors import (
    CellferryWarning,
    GenesLeftOutWarning,
    InputError,
    NormalisationWarning,
    UnsupportedObjectError,
    counted,
    listing,
    warn,
)
from ..expression.kinds import Kind
from ..expression.on_disk import LateMatrix, put_on_disk
from ..expression.stacked import StackedMatrix
from ..layers import OpenH5ad, OpenRaw, Place, choose_matrices, places_of
from .address import Address, address_of, opened_address, read_address
from .joining import joined_frames, joined_names
from .kinds import file_error, file_kind
from .objects import WANTED, opened_object, read_object
from .sameness import check_different

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    from numpy.typing import NDArray

    from ..layers import AnnDataLike

logger = logging.getLogger("cellferry")

_KINDS: Mapping[Kind, str] = {
    "counts": "raw counts",
    "normalized": "log-normalised",
    "linear": "not logged",
    "scaled": "scaled",
    "damaged": "damaged",
    "empty": "empty",
}


@dataclass(frozen=True)
class Files:
    """Paths of files that are read as one object.

    Attributes
    ----------
    paths
        At least two; the cells are in their order.
    """

    paths: tuple[Path | Address, ...]

    def __str__(self) -> str:
        """Name them."""
        return listing([str(path) for path in self.paths], 3)

    @property
    def name(self) -> str:
        """Of the first, after which files that are written can be called."""
        return self.paths[0].name


Where: TypeAlias = Path | Address | Files
"""Where an object is."""


def place_of(data: object) -> Where | None:
    """Return the path, the address or the paths that something is; None of all else.

    Parameters
    ----------
    data
        A path, an address, or a list or tuple of them. A list of one is that path.

    Examples
    --------
    >>> place_of("pbmc.h5ad").name, place_of(["a.h5ad", "b.h5ad"]).paths[1].name
    ('pbmc.h5ad', 'b.h5ad')
    >>> place_of({"0": ["CD3D"]}) is None, place_of([]) is None
    (True, True)
    """
    if isinstance(data, Files):
        return data
    if isinstance(data, list | tuple):
        paths = [_one(one) for one in data]
        known = tuple(path for path in paths if path is not None)
        if not known or len(known) < len(paths):
            return None
        return known[0] if len(known) == 1 else Files(known)
    return _one(data)


def _one(data: object) -> Path | Address | None:
    address = address_of(data)
    if address is not None:
        return address
    return Path(data).expanduser() if isinstance(data, str | os.PathLike) else None


def paths_of(place: Where | None) -> tuple[Path, ...]:
    """Return the paths, without addresses, of what :func:`place_of` returned."""
    if place is None:
        return ()
    several = place.paths if isinstance(place, Files) else (place,)
    return tuple(path for path in several if isinstance(path, Path))


@contextmanager
def opened_place(place: Where, uns: Collection[str] = ()) -> Iterator[AnnDataLike]:
    """Yield the AnnData of a file, of an address, or of several, whose matrices stay there.

    Of several:

    - cells are one after the other, in the order of the files. Where a name is in two files, each
      name gets ``_1``, ``_2``, ... after the number of its file, as Seurat's ``merge()`` does;
    - genes are those that all files have, by name, in the order of the first. A gene that a file
      does not have was not measured there and is no zero: it is left out, with a warning;
    - columns of ``obs`` and embeddings are those that all have. Categories are in the order of
      the files' own, if there is one that all agree with, else in natural order;
    - ``X``, ``raw`` and layers are those that all have with the same kind of values. Where that
      leaves nothing, and all files have raw counts somewhere, these are ``X``.

    Parameters
    ----------
    place
        The path, the address or the paths.
    uns
        What is read of ``uns``; of several files nothing is.

    Raises
    ------
    InputError
        A file cannot be read; one is given twice; they are of different species, have no gene in
        common, or have different kinds of values.
    UnsupportedObjectError
        One of several is an .rds, or something else that has no cells here.
    """
    if isinstance(place, Address):
        with opened_address(place, uns) as at_address:
            yield at_address
        return
    if isinstance(place, Path):
        with opened_object(place, uns) as opened:
            yield opened
        return
    for path in paths_of(place):
        kind = file_kind(path)
        if kind.is_of_r:
            message = f'"{path}" is an R object (.rds), which is not read as one of several files.'
            hint = "Merge the objects in R, or write each as .h5ad: cellferry.seurat.to_anndata(x)"
            raise UnsupportedObjectError(message, hint)
        if not kind.is_anndata:
            raise file_error(path, kind, WANTED)
    check_different(place.paths)
    with ExitStack() as stack:
        parts = [stack.enter_context(opened_place(path)) for path in place.paths]
        yield _joined(parts, place)


def read_place(place: Where) -> anndata.AnnData:
    """Read the AnnData of a file or an address whole, or of several as one.

    Parameters
    ----------
    place
        The path or the paths.

    Raises
    ------
    InputError, UnsupportedObjectError, DependencyError
        As of :func:`opened_place`.
    """
    import anndata

    if isinstance(place, Address):
        return read_address(place)
    if isinstance(place, Path):
        return read_object(place)
    with warnings.catch_warnings():
        # Whoever writes them has opened them before.
        warnings.simplefilter("ignore", CellferryWarning)
        with opened_place(place) as opened:
            made = anndata.AnnData(
                None if opened.X is None else opened.X[:],
                obs=opened.obs,
                var=opened.var,
                obsm={k: v for k, v in opened.obsm.items() if getattr(v, "ndim", 0) == 2},
                layers={key: matrix[:] for key, matrix in opened.layers.items()},
            )
            if opened.raw is not None:
                made.raw = anndata.AnnData(opened.raw.X[:], obs=opened.obs, var=opened.raw.var)
    return made


def _joined(parts: Sequence[AnnDataLike], files: Files) -> OpenH5ad:
    names = [str(path) for path in files.paths]
    _check_species([part.var.index for part in parts], names)
    stacks = _stacks([places_of(part) for part in parts], names)
    if not stacks:
        stacks = {"X": _counts(parts, names)}
    widest = max(stacks.values(), key=lambda stack: len(stack.genes))
    _say_left_out(widest, names)
    cells, renamed = joined_names([[str(name) for name in part.obs.index] for part in parts])
    obs, left_out = joined_frames([part.obs for part in parts], cells)
    logger.info(
        "%s are read as one object: %s cells, %s genes that all of them have.",
        counted(len(parts), "file"), f"{len(cells):,}", f"{len(widest.genes):,}",
    )  # fmt: skip
    if renamed:
        logger.info(
            'Names of cells are in several files, so each has the number of its file: "%s".',
            cells[0],
        )
    if left_out:
        logger.info("Columns that not all files have are left out: %s.", listing(left_out, 10))
    main = next((stacks[name] for name in stacks if name != "raw.X"), None)
    raw = stacks.get("raw.X")
    return OpenH5ad(
        X=stacks["X"].matrix if "X" in stacks else None,
        raw=None if raw is None else OpenRaw(raw.matrix, raw.var),
        layers={s.layer: s.matrix for place, s in stacks.items() if place != "X" and s.layer},
        obs=obs,
        var=widest.var if main is None else main.var,
        obsm=_embeddings([part.obsm for part in parts]),
        uns={},
    )


@dataclass(frozen=True, eq=False)
class _Stack:
    """Matrices of one place in each file, on top of each other."""

    matrix: StackedMatrix
    var: pd.DataFrame
    places: tuple[Place, ...]
    layer: str | None

    @property
    def genes(self) -> pd.Index[str]:
        return self.var.index


def _stacks(parts: Sequence[Mapping[str, Place]], names: Sequence[str]) -> dict[str, _Stack]:
    """Return what can be stacked; raise where nothing can, because no gene is in all files."""
    for part, file in zip(parts, names, strict=True):
        if not part:
            message = f'"{file}" has no matrix that is read: neither X nor raw.'
            raise InputError(message, "Leave it out, or write it with its values.")
    found, strange = {}, []
    for name in parts[0]:
        if not all(name in part for part in parts):
            continue
        places = [part[name] for part in parts]
        kinds = {place.look.kind_of_finite for place in places} - {"empty"}
        if len(kinds) > 1:
            strange.append(_described(name, places, names))
            continue
        made = _stacked(places, names)
        if made is not None:
            found[name] = made
    if not found and not strange:
        raise _no_common([next(iter(part.values())) for part in parts], names)
    if found and strange:
        message = f"The files hold different kinds of values: {strange[0]}."
        hint = f"Read is what is alike in all of them: {listing(list(found))}."
        warn(NormalisationWarning(message, hint))
    return found


def _described(name: str, places: Sequence[Place], names: Sequence[str]) -> str:
    firsts: dict[str, str] = {}
    for place, file in zip(places, names, strict=True):
        firsts.setdefault(_KINDS[place.look.kind_of_finite], file)
    return f"{name} is " + ", ".join(f'{kind} in "{file}"' for kind, file in firsts.items())


def _counts(parts: Sequence[AnnDataLike], names: Sequence[str]) -> _Stack:
    """Return the raw counts of all files, wherever each has them."""
    chosen = [choose_matrices(part).counts for part in parts]
    there = [place for place in chosen if place is not None]
    made = _stacked(there, names) if len(there) == len(parts) else None
    if made is not None:
        said = {place.name: name for place, name in zip(there, names, strict=True)}
        where = ", ".join(f'{place} of "{name}"' for place, name in said.items())
        logger.info("The files hold different kinds of values; raw counts are in all: %s.", where)
        return made
    first = [next(iter(places_of(part).values())) for part in parts]
    message = f"The files hold different kinds of values: {_described('X', first, names)}."
    hint = (
        "Normalise all of them alike, or keep the raw counts of each: "
        'adata.layers["counts"] = adata.X before scanpy.pp.normalize_total(adata)'
    )
    raise InputError(message, hint)


def _stacked(places: Sequence[Place], names: Sequence[str]) -> _Stack | None:
    """Return the matrices with the genes of all of them; None where there is no such gene."""
    for place, name in zip(places, names, strict=True):
        if len(set(place.genes)) < len(place.genes):
            twice = [str(gene) for gene in place.var.index[place.var.index.duplicated()]]
            message = (
                f'Files are joined by the names of genes, and {place.owner} of "{name}" has some '
                f"twice: {listing(twice, 3)}."
            )
            hint = "Make them unique: adata.var_names_make_unique(); adata.write_h5ad(...)"
            raise InputError(message, hint)
    others = [set(place.genes) for place in places[1:]]
    genes = [gene for gene in places[0].genes if all(gene in other for other in others)]
    if not genes:
        return None
    sources = []
    for place in places:
        whole = _by_cells(place)
        source, _ = Place(place.name, place.owner, whole, place.var).of_genes(genes)
        assert source is not None
        sources.append(source)
    layer = places[0].layer
    return _Stack(StackedMatrix(sources), _joined_var(places, genes), tuple(places), layer)


def _by_cells(place: Place) -> Any:
    """Return a matrix that is read by cells: itself, or one that is turned when it is read."""
    source = place.source
    if source.axis == "cells":
        return place.matrix

    def pieces() -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        for start, block in source.blocks(2_000):
            block_of_genes: Any = block
            entries = block_of_genes.tocoo()
            yield entries.row, entries.col + start, entries.data

    def turned() -> Any:
        n_values = int(source.values_by_line().sum())
        return put_on_disk(pieces, source.shape, n_values, source.dtype, source.dtype)

    return LateMatrix(turned, source.shape, source.dtype, source.sample_values)


def _joined_var(places: Sequence[Place], genes: Sequence[str]) -> pd.DataFrame:
    """Return the columns of var in which all files say the same of these genes."""
    frames = [place.var.set_axis(list(place.genes)).loc[list(genes)] for place in places]
    first = frames[0]
    same = [
        column
        for column in first.columns
        if all(column in f.columns and _equal(first[column], f[column]) for f in frames[1:])
    ]
    return first[same]


def _equal(first: pd.Series, other: pd.Series) -> bool:
    return bool(first.astype(object).equals(other.astype(object)))


def _say_left_out(stack: _Stack, names: Sequence[str]) -> None:
    every = {gene for place in stack.places for gene in place.genes}
    n_left = len(every) - len(stack.genes)
    if not n_left:
        return
    lacks = [
        f'"{name}" lacks {len(every) - len(place.genes):,}'
        for name, place in zip(names, stack.places, strict=True)
        if len(place.genes) < len(every)
    ]
    message = (
        f"{counted(n_left, 'gene')} of {len(every):,} are not in all {len(names)} files and are "
        f"left out: {', '.join(lacks[:3])}{', ...' if len(lacks) > 3 else ''}."
    )
    hint = (
        "They were not measured there, which is not zero. If it is, join the files yourself: "
        'anndata.concat([...], join="outer", fill_value=0)'
    )
    warn(GenesLeftOutWarning(message, hint))


def _no_common(places: Sequence[Place], names: Sequence[str]) -> InputError:
    shown = "; ".join(
        f'"{name}" has {listing([str(g) for g in place.genes[:3]])}'
        for name, place in list(zip(names, places, strict=False))[:3]
    )
    message = f"The files have no gene in common: {shown}."
    hint = "Genes are joined by name: give all files symbols, or all identifiers of Ensembl."
    return InputError(message, hint)


def _check_species(genes: Sequence[Any], names: Sequence[str]) -> None:
    found: dict[str, str] = {}
    for index, name in zip(genes, names, strict=True):
        species = detect_species(index).species
        if species is not None:
            found.setdefault(species, name)
    if len(found) > 1:
        said = " and ".join(f'those of "{name}" of {species}' for species, name in found.items())
        message = f"The files are of different species: the genes are {said}."
        raise InputError(message, "Annotate the files of each species by themselves.")


def _embeddings(parts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the embeddings that all have, with as many dimensions."""
    found: dict[str, object] = {}
    for key in parts[0]:
        if not all(key in part for part in parts):
            continue
        values: list[Any] = [part[key] for part in parts]
        if all(getattr(v, "ndim", 0) == 2 and isinstance(v, np.ndarray) for v in values) and (
            len({v.shape[1] for v in values}) == 1
        ):
            found[key] = np.concatenate(values)
    return found
