"""The columns of cell types that CELLxGENE asks for.

By its schema 7 (https://github.com/chanzuckerberg/single-cell-curation, section "obs"): the term of
each cell in ``cell_type_ontology_term_id``, "unknown" where there is none; no column ``cell_type``,
which the portal writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...biology.ontology import Ontology, cell_ontology
from ...errors import AnnotationsMissingError, listing, nearest
from ..texts import Texts

if TYPE_CHECKING:
    import anndata
    import pandas as pd

TERM_COLUMN = "cell_type_ontology_term_id"
RESERVED = "cell_type"
"""Column that the portal writes, and a deposit must not have."""
RENAMED = "author_cell_type"
NO_TERM = "unknown"
FORBIDDEN = frozenset({"CL:0000255", "CL:0000257", "CL:0000548"})
"""Eukaryotic cell, Eumycetozoan cell, animal cell."""


@dataclass(frozen=True)
class Deposit:
    """What is written for the cells.

    Attributes
    ----------
    terms
        The term of each cell.
    replaced
        Term -> the one that is written for it, where it is not allowed.
    renamed
        What the column ``cell_type`` is called in the copy; None where there is none.
    """

    terms: Texts
    replaced: dict[str, str]
    renamed: str | None


def valid_term(
    term: str | None, ontology: Ontology | None = None, newer: Iterable[str] = ()
) -> str:
    """Return the term that is written: itself, its nearest valid ancestor, or "unknown".

    Parameters
    ----------
    term
        Of a label; None is none.
    ontology
        None is the Cell Ontology.
    newer
        Terms that the ontology of the schema does not have yet.

    Examples
    --------
    >>> valid_term("CL:0000236"), valid_term(None), valid_term("CL:0000255")
    ('CL:0000236', 'unknown', 'CL:0000000')
    >>> valid_term("CL:0000788", newer=["CL:0000788"])
    'CL:0000785'
    """
    known = cell_ontology() if ontology is None else ontology
    current = None if term is None or term not in known else known.current(term)
    if current is None:
        return NO_TERM
    not_allowed = FORBIDDEN | set(newer)
    if current not in not_allowed:
        return current
    above = known.ancestors(current)
    valid = (i for i in above if i not in not_allowed and not known[i].obsolete)
    return min(valid, key=lambda i: (above[i], known.kinds(i), i), default=NO_TERM)


def deposit(obs: pd.DataFrame, key: str, ids: Texts | None, labels: Texts) -> Deposit:
    """Return what is written for the cells of an object.

    Parameters
    ----------
    obs
        Metadata.
    key
        Name of the label column.
    ids, labels
        The term and the label of each cell; without a column of terms labels are looked up.

    Raises
    ------
    AnnotationsMissingError
        There is no such column.
    """
    if key not in obs:
        names = [str(c) for c in obs.columns]
        guess = nearest(key, names)
        message = f'There is no column "{key}" of labels; the metadata has {listing(names)}.'
        raise AnnotationsMissingError(message, f'Did you mean "{guess}"?' if guess else "")
    found = labels if ids is None else ids
    if ids is None:
        from ..levels import term_of

        terms = [valid_term(term_of(x)) for x in found.levels]
        before = [term_of(x) for x in found.levels]
    else:
        terms = [valid_term(x) for x in found.levels]
        before = list(found.levels)
    written = Texts.of([*terms, NO_TERM])
    of_cell = Texts(written.levels, written.codes[found.codes]).compact()
    replaced = {a: b for a, b in zip(before, terms, strict=True) if a is not None and a != b}
    return Deposit(of_cell, replaced, _renamed(obs))


def _renamed(obs: pd.DataFrame) -> str | None:
    if RESERVED not in obs:
        return None
    names = (RENAMED, *(f"{RENAMED}_{i}" for i in range(2, 100)))
    return next(name for name in names if name not in obs)


def deposited_obs(obs: pd.DataFrame, made: Deposit) -> pd.DataFrame:
    """Return metadata as it is deposited: a copy.

    Parameters
    ----------
    obs
        One row per cell.
    made
        What :func:`deposit` returned.
    """
    import pandas as pd

    copy = obs.copy()
    if made.renamed is not None:
        copy = copy.rename(columns={RESERVED: made.renamed})
    levels = pd.Index(made.terms.levels, dtype="object")
    copy[TERM_COLUMN] = pd.Categorical.from_codes(made.terms.codes, categories=levels)
    return copy


def deposited(adata: anndata.AnnData, made: Deposit) -> anndata.AnnData:
    """Return an AnnData as it is deposited; matrices are shared with the original.

    Parameters
    ----------
    adata
        Not changed.
    made
        What :func:`deposit` returned.
    """
    import anndata

    uns = dict(adata.uns)
    if made.renamed is not None and f"{RESERVED}_colors" in uns:
        uns[f"{made.renamed}_colors"] = uns.pop(f"{RESERVED}_colors")
    return anndata.AnnData(
        adata.X, deposited_obs(adata.obs, made), adata.var, uns=uns, obsm=dict(adata.obsm),
        varm=dict(adata.varm), layers=dict(adata.layers), obsp=dict(adata.obsp),
        varp=dict(adata.varp), raw=None if adata.raw is None else adata.raw.to_adata(),
    )  # fmt: skip
