"""The labels of an AnnData as pictures need them: one per cell, in lineage order, with colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..annotations.delivery import STORE
from ..annotations.label_colors import ordered_tones
from ..annotations.palette import NO_LABEL_COLOURS, Tone
from ..annotations.stored import stored_annotations
from ..errors import AnnotationsMissingError, GroupMissingError, listing, nearest
from ..study.clusters import Clusters

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

    from .canvas import Canvas


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labels of a column.

    Attributes
    ----------
    key
        Name of the column.
    names
        Labels that cells have, in lineage order.
    codes
        For each cell the place of its label, -1 without one.
    tones
        The colours of each label.
    """

    key: str
    names: tuple[str, ...]
    codes: NDArray[np.intp]
    tones: tuple[Tone, ...]

    def colours(self, drawn: Canvas) -> list[str]:
        """Return the colour of each label, and at the end that of cells without one."""
        own = [tone.dark if drawn.dark else tone.light for tone in self.tones]
        return [*own, NO_LABEL_COLOURS[drawn.dark]]


def labelled(adata: anndata.AnnData, key: str | None = None) -> Labelled:
    """Return the labels of a column, those of the newest annotations without a key.

    Raises
    ------
    AnnotationsMissingError
        There are no annotations, or the column of their labels is gone.
    GroupMissingError
        There is no such column.
    """
    chosen = key or str(stored_annotations(adata).provenance.get("key"))
    if chosen not in adata.obs:
        guess = nearest(chosen, [str(name) for name in adata.obs])
        if key is None:
            message = f'The column "{chosen}" with the labels is not in the metadata any more.'
            raise AnnotationsMissingError(message, "Annotate again, or name a column.")
        message = f'The metadata has no column "{chosen}".'
        hint = f'Did you mean "{guess}"?' if guess else f"It has {listing(list(adata.obs))}."
        raise GroupMissingError(message, hint)
    groups = Clusters.from_column(adata.obs[chosen])
    assert groups.codes is not None
    record = dict(adata.uns.get(STORE, {})).get(chosen)
    counts = groups.counts() or {}
    there = [name for name in groups.names if counts.get(name)]
    known = ordered_tones(None if record is None else str(record), there)
    names = tuple(known)
    place = {name: i for i, name in enumerate(names)}
    moved = np.array([*(place.get(name, -1) for name in groups.names), -1], dtype=np.intp)
    return Labelled(chosen, names, moved[groups.codes], tuple(known.values()))
