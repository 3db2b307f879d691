"""Whether a model, or a reference, fits the genes of an object: the one judge of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...biology.recognition import detect_species
from ...errors import ModelError, counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.study import Study


def genes_of(study: Study) -> tuple[str, ...]:
    """Return the genes of the expression that is read of a study, in its order."""
    source = study.normalized or study.counts
    return study.genes or () if source is None else source.genes


def places(genes: Sequence[str]) -> dict[str, int]:
    """Return gene -> its place; the first of those that have one name.

    Examples
    --------
    >>> places(["CD3D", "LYZ", "CD3D"])
    {'CD3D': 0, 'LYZ': 1}
    """
    found: dict[str, int] = {}
    for i, gene in enumerate(genes):
        found.setdefault(gene, i)
    return found


def shared_genes(
    of_model: Sequence[str], of_object: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the shared genes in the model and in the object, in the model's order.

    Examples
    --------
    >>> own, columns = shared_genes(["LYZ", "CD3D", "NOGENE"], ["CD3D", "LYZ"])
    >>> own.tolist(), columns.tolist()
    ([0, 1], [1, 0])
    """
    place = places(of_object)
    own = [i for i, gene in enumerate(of_model) if gene in place]
    columns = [place[of_model[i]] for i in own]
    return np.array(own, dtype=np.intp), np.array(columns, dtype=np.intp)


def check_shared(
    shared: int,
    of_model: Sequence[str],
    of_object: Sequence[str],
    *,
    enough: float,
    what: str = "model",
    species: str | None = None,
) -> None:
    """Raise :class:`ModelError` where an object has too few genes of a model to be labelled by it.

    Parameters
    ----------
    shared
        How many genes of the model the object has.
    of_model, of_object
        Names of both.
    enough
        How many it must have.
    what
        ``"model"`` or ``"reference"``, for the message.
    species
        That of the model where it is known; None finds it by the names.
    """
    if shared >= enough and shared:
        return
    has = f"{shared} of the {counted(len(of_model), 'gene')} of the {what}"
    species = species or detect_species(of_model).species
    other = detect_species(of_object).species
    if None not in {species, other} and species != other:
        message = f"The {what} is of {species}, and the genes of the object are of {other}: {has}."
        raise ModelError(message, f"Give a {what} of the same species.")
    theirs, ours = (", ".join(f'"{g}"' for g in names[:3]) for names in (of_model, of_object))
    message = f"The object has {has}, which is too few to label cells by."
    hint = f"The genes of the {what} are named as {theirs}, those of the object as {ours}."
    raise ModelError(message, hint)
