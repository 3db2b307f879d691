"""What engines of a model, or of a reference, say and answer alike."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...annotations.agreement.terms import Resolver, ontology_term
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import TextLists
from ...biology.ontology import cell_ontology
from ...errors import EngineNeedsError
from ..base import Capabilities, Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.study import Study

logger = logging.getLogger("cellferry")


def of_cells(also: Iterable[str] = ()) -> Capabilities:
    """Return what engines of a model say of themselves: cells, from expression, on this machine.

    Parameters
    ----------
    also
        Parts of a study that are read besides.
    """
    return Capabilities(
        answers=frozenset({"cells"}),
        needs=frozenset({"cells"}),
        uses=frozenset({"normalized", "counts", *also}),
    )


def no_genes(what: str = "model") -> str:
    """Return why a cell is skipped that expresses nothing that a model knows."""
    return f"It expresses none of the genes of the {what}."


def missing(engine: str, what: str, hint: str) -> EngineNeedsError:
    """Return the error of an engine that was given no model, or no reference.

    Parameters
    ----------
    engine
        Its name.
    what
        ``"model"`` or ``"reference"``.
    hint
        Where one comes from.
    """
    message = f'The engine "{engine}" needs a {what}, and none is given.'
    return EngineNeedsError(message, hint, part=what)


def plan_of_model(
    engine: str, study: Study, *, labels: str, genes: int, shared: int, what: str = "model"
) -> Plan:
    """Return a plan without calls or cost, and say what the model has.

    Parameters
    ----------
    engine
        Its name.
    study
        What would be labelled.
    labels
        How many, in words: ``"12 types"``.
    genes, shared
        Of the model, and how many of them the object has.
    what
        ``"model"`` or ``"reference"``.
    """
    note = f"{labels}, of whose {genes} genes the object has {shared}."
    logger.info("The %s has %s", what, note)
    cells = len(study.cells or ())
    return Plan(engine, len(study.clusters.names), notes=(note,), cells=cells)


def terms_of(
    labels: Iterable[str], known: dict[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Return label -> identifier and label in the Cell Ontology, for those that have a term.

    Parameters
    ----------
    labels
        As the model has them.
    known
        Label -> identifier that its authors gave; those that the ontology has come first.

    Examples
    --------
    >>> terms_of(["B cells", "my own"], {"my own": "CL:0000084"})
    {'B cells': ('CL:0000236', 'B cell'), 'my own': ('CL:0000084', 'T cell')}
    """
    resolver, ontology, given = Resolver(), cell_ontology(), known or {}
    found = {}
    for label in labels:
        own = given.get(label)
        term = own if own in ontology else ontology_term(resolver.term(label))
        if label != UNKNOWN and term is not None:
            found[label] = (term, ontology[term].label)
    return found


def label_lists(levels: Sequence[str], codes: NDArray[np.int32]) -> TextLists:
    """Return the lists of labels whose codes are the rows of an array; -1 is none.

    Parameters
    ----------
    levels
        The labels.
    codes
        Cells x most labels of a cell, or one for each cell.
    """
    rows = codes.reshape(len(codes), -1)
    starts = np.concatenate([[0], np.cumsum((rows >= 0).sum(axis=1))]).astype(np.int64)
    return TextLists(tuple(levels), starts, rows[rows >= 0].astype(np.int32))
