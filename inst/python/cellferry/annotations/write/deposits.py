"""Writes what portals of data take: an object or its columns for CELLxGENE, JSON of CAS."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...biology.ontology import cell_ontology
from ...errors import (
    EngineNeedsError,
    InvalidOptionError,
    OutputError,
    TermsReplacedWarning,
    enumerated,
    warn,
)
from ...files import replacing
from ..cells import CellAnnotations
from ..clusters import Annotations
from ..labelling.columns import texts_of
from ..levels import SUFFIXES
from ..stored import read_annotations, stored_annotations
from ..texts import Texts
from .cas import cas_text
from .cellxgene import Deposit, deposit, deposited, deposited_obs

if TYPE_CHECKING:
    import anndata
    import pandas as pd

logger = logging.getLogger("cellferry")

DEPOSITS: dict[str, tuple[str, ...]] = {"cellxgene": (".h5ad", ".csv", ".tsv"), "cas": (".json",)}
"""Format -> suffixes of its file, which no name tells."""


@dataclass(frozen=True)
class Publication:
    """What a deposit says of the data.

    Attributes
    ----------
    title, author
        Of the data set, and who answers for it.
    """

    title: str | None = None
    author: str | None = None


def write_deposit(
    data: anndata.AnnData | Annotations | CellAnnotations,
    file: str | os.PathLike[str],
    format: str,  # noqa: A002 - the word of pandas and of R
    *,
    key: str | None = None,
    said: Publication | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write one file; see :func:`.tables.write_annotations`.

    Parameters
    ----------
    data
        An object with labels; for CAS annotations too.
    file, key, overwrite
        As there.
    format
        A word of :data:`DEPOSITS`.
    said
        What is told of the data set.

    Raises
    ------
    EngineNeedsError
        Cells are deposited, and no object was given.
    InvalidOptionError
        The name is that of another format, or title or author is missing.
    OutputError
        The file exists, or cannot be written.
    """
    path = checked_path(file, format, overwrite=overwrite)
    if isinstance(data, Annotations | CellAnnotations):
        if format == "cas":
            found = data.summary()
            return [_written(path, _cas(found, said, None, _key_of(found, key)))]
        message = "CELLxGENE takes the terms of cells, and this is a table."
        raise EngineNeedsError(message, "Give the AnnData that was labelled as `data`.")
    if format == "cas":
        found = read_annotations(data, key)
        name = _key_of(found, key)
        return [_written(path, _cas(found, said, labels_of(data.obs_names, data.obs, name), name))]
    name = key or str(stored_annotations(data, of_clusters=True).provenance.get("key"))
    made = cells_deposited(data.obs, name)
    say(made)
    if path.suffix.lower() == ".h5ad":
        copy = deposited(data, made)
        return [_by(path, copy.write_h5ad)]
    return [write_columns(path, [str(n) for n in data.obs_names], data.obs, made, name)]


def _key_of(found: Annotations, key: str | None) -> str:
    return key or str(found.provenance.get("key") or "cell_type")


def checked_path(file: str | os.PathLike[str], format: str, *, overwrite: bool) -> Path:  # noqa: A002
    """Return the path of a deposit, or raise why it cannot be written."""
    path = Path(file).expanduser()
    if path.suffix.lower() not in DEPOSITS[format]:
        valid = ", ".join(DEPOSITS[format])
        message = f'The format "{format}" is written to {valid}, and the name is "{path.name}".'
        raise InvalidOptionError(message, f"Name it so: {path.stem}{DEPOSITS[format][0]}")
    if path.exists() and not overwrite:
        message = f'The file "{path}" exists.'
        raise OutputError(message, "Choose another name, or pass `overwrite=True`.")
    return path


def labels_of(names: pd.Index, obs: pd.DataFrame, key: str) -> dict[str, tuple[list[str], Texts]]:
    """Return labelset -> names of the cells and their labels, for labels that are there."""
    cells = [str(n) for n in names]
    wanted = (key, *(key + end for end in SUFFIXES))
    return {name: (cells, texts_of(obs[name])) for name in wanted if name in obs}


def _cas(
    found: Annotations,
    said: Publication | None,
    labels: Mapping[str, tuple[list[str], Texts]] | None,
    key: str,
) -> bytes:
    known = said or Publication()
    return cas_text(found, known.title, known.author, labels, key).encode("utf-8", "replace")


def write_cas(
    found: Annotations,
    path: Path,
    said: Publication,
    labels: Mapping[str, tuple[list[str], Texts]] | None,
    key: str,
) -> Path:
    """Write annotations whose cells are known as JSON of CAS."""
    return _written(path, _cas(found, said, labels, key))


def cells_deposited(obs: pd.DataFrame, key: str) -> Deposit:
    """Return what CELLxGENE gets of the cells of an object."""
    ids = f"{key}_ontology_id"
    labels = texts_of(obs[key]) if key in obs else Texts.none(len(obs))
    return deposit(obs, key, texts_of(obs[ids]) if ids in obs else None, labels)


def say(made: Deposit) -> None:
    """Say what is not as it was: terms that are not allowed, and the renamed column."""
    ontology = cell_ontology()
    for_terms = [f"{a} by {b}" for a, b in sorted(made.replaced.items())]
    if for_terms:
        named = [
            f"{x} ({ontology[x[-10:]].label})" if x[-10:] in ontology else x for x in for_terms
        ]
        message = (
            f"CELLxGENE does not take some terms, which were replaced: {enumerated(named, 10)}."
        )
        warn(TermsReplacedWarning(message, "The labels stay as they are."))
    if made.renamed is not None:
        text = 'The column "cell_type" is "%s" in what was written: the portal writes "cell_type".'
        logger.info(text, made.renamed)


def write_columns(path: Path, cells: list[str], obs: pd.DataFrame, made: Deposit, key: str) -> Path:
    """Write the deposited columns of the cells as a table, with the labels under the key."""
    import pandas as pd

    from .cellxgene import RESERVED, TERM_COLUMN

    columns = [c for c in dict.fromkeys((key, RESERVED)) if c in obs]
    frame = deposited_obs(obs[columns], made)
    frame.index = pd.Index(cells, name="cell")
    frame = frame[[TERM_COLUMN, *(c for c in frame.columns if c != TERM_COLUMN)]]
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    return _written(path, frame.to_csv(sep=separator).encode("utf-8", "replace"))


def _written(path: Path, content: bytes) -> Path:
    return _by(path, lambda partial: partial.write_bytes(content))


def _by(path: Path, write: Callable[[Path], object]) -> Path:
    try:
        with replacing(path) as partial:
            write(partial)
    except OSError as error:
        message = f'The file "{path}" cannot be written: {error.strerror or error}.'
        hint = "Choose a file name in a folder that exists and that you may write to."
        raise OutputError(message, hint, path=str(path)) from error
    return path
