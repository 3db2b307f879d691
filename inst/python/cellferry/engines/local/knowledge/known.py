"""What the embedded engine knows, to be looked up: its tissues and its cell types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....biology.species import known_species, nearest_species
from ....errors import InvalidOptionError, listing
from ....study.options import or_none, text
from .packaged import packaged_knowledge
from .tissues import ANYWHERE, nearest_tissues, occurs, tissue_table, tissues_of
from .types import SPECIES

if TYPE_CHECKING:
    import pandas as pd

Records = list[dict[str, str | int]]
LABELS = ("type", "group")
"""Kinds of rows of the knowledge that can be the label of a cluster."""


def known_tissues() -> pd.DataFrame:
    """Return the tissues that the embedded engine understands.

    Returns
    -------
    DataFrame
        One row per tissue: ``tissue``, its name; ``other_names``, which are understood as well,
        separated by ``"; "``; ``part_of``, the tissue that it is a part of, or ``""``;
        ``ontology_id`` in UBERON; ``cell_types``, the number of types that are known from it.

    Examples
    --------
    >>> known_tissues().set_index("tissue").loc["large intestine", "other_names"]
    'colon; rectum; cecum'
    """
    return _frame(tissue_records())


def known_cell_types(tissue: str | None = None, species: str | None = None) -> pd.DataFrame:
    """Return the cell types that the embedded engine can name.

    Parameters
    ----------
    tissue
        Only those that occur in it, or anywhere; words as for annotating: ``"PBMC"``.
    species
        Only those with markers that are read for this species.

    Returns
    -------
    DataFrame
        One row per type: ``cell_type``, ``ontology_id`` and ``ontology_label`` in the Cell
        Ontology (``""`` where it has no term), ``parent``, ``tissues`` and ``species``, each
        separated by ``"; "``.

    Raises
    ------
    InvalidOptionError
        The tissue or the species is not known; the nearest ones are named.

    Examples
    --------
    >>> "Alveolar macrophage" in set(known_cell_types("lung").cell_type)
    True
    """
    return _frame(cell_type_records(tissue, species))


def tissue_records() -> Records:
    """Return the rows of :func:`known_tissues`."""
    types = [t for t in packaged_knowledge().types if t.kind in LABELS]
    return [
        {
            "tissue": t.name,
            "other_names": "; ".join(n for n in t.names if n not in {t.name, t.ontology_label}),
            "part_of": t.part_of,
            "ontology_id": t.ontology_id,
            "cell_types": sum(t.name in x.tissues for x in types),
        }
        for t in tissue_table()
    ]


def cell_type_records(tissue: str | None = None, species: str | None = None) -> Records:
    """Return the rows of :func:`known_cell_types`; some types occur anywhere, so there are some."""
    wanted = _tissues(tissue)
    read = _species(species)
    return [
        {
            "cell_type": t.name,
            "ontology_id": t.ontology_id or "",
            "ontology_label": t.ontology_label or "",
            "parent": "; ".join(t.parents),
            "tissues": "; ".join(t.tissues) or ANYWHERE,
            "species": "; ".join(s for s in SPECIES if s in t.positive),
        }
        for t in packaged_knowledge().types
        if t.kind in LABELS and t.positive and occurs(t.tissues, wanted)
        if read is None or read in t.positive
    ]


def _tissues(tissue: str | None) -> frozenset[str]:
    if or_none(text, "tissue", tissue) is None:
        return frozenset()
    found = tissues_of(tissue or "")
    if not found:
        near = " or ".join(f'"{name}"' for name in nearest_tissues(tissue or ""))
        guess = f"Did you mean {near}? " if near else ""
        names = listing([t.name for t in tissue_table()], 60)
        message = f'`tissue` must name a tissue that is known, not "{tissue}".'
        raise InvalidOptionError(message, f"{guess}Known: {names}.", option="tissue")
    return found


def _species(species: str | None) -> str | None:
    if or_none(text, "species", species) is None:
        return None
    found = known_species(species)
    if found is None or found.reads is None:
        near = nearest_species(species or "")
        guess = "" if near is None else f'Did you mean "{near.name}"? '
        message = f'`species` must be one whose markers are read, not "{species}".'
        hint = f"{guess}Markers are those of {listing(SPECIES)}."
        raise InvalidOptionError(message, hint, option="species")
    return found.reads


def _frame(records: Records) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame.from_records(records)
