"""What a conversion took, changed or left behind: the same five columns as R's StudyReport()."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, TypedDict

from ..errors import listing

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("cellferry")

ACTIONS: tuple[str, ...] = ("taken", "coerced", "left")


@dataclass(frozen=True)
class Item:
    """One thing of an object, and what became of it.

    Attributes
    ----------
    item
        Its name in the object it was read from.
    kind
        What it is: ``X``, ``layer``, ``obs``, ``var``, ``reduction``, ``graph``, ...
    what
        Its type or size.
    action
        ``taken``, ``coerced`` or ``left``.
    why
        What is lost or changed, and why; empty if nothing is.
    """

    item: str
    kind: str
    what: str
    action: str
    why: str = ""


class Reduction(TypedDict, total=False):
    """What an AnnData remembers of a reduction, beside its values.

    ``loadings`` is their name in ``varm``, ``loading_genes`` the genes that have some, in order.
    """

    name: str
    key: str
    stdev: list[float]
    loadings: str
    loading_genes: list[str]


Image = TypedDict(
    "Image",
    {
        "name": str,
        "key": str,
        "class": str,
        "assay": str,
        "boundary": str,
        "radius": float,
        "nsides": float,
        "theta": float,
        "swapped": bool,
    },
    total=False,
)
"""What an AnnData remembers of an image of Seurat, beside the places of its cells.

``swapped`` says that Seurat has x and y the other way round. Without a name it is all images
together, which is no image of Seurat."""


def report_frame(items: Sequence[Item]) -> pd.DataFrame:
    """Return the report as a frame of text with the columns of :class:`Item`.

    Examples
    --------
    >>> report_frame([Item("nCount_RNA", "obs", "real", "taken")]).iloc[0]["action"]
    'taken'
    """
    import pandas as pd

    columns = [f.name for f in fields(Item)]
    return pd.DataFrame([astuple(i) for i in items], columns=columns, dtype="object")


def log_items(items: Sequence[Item], where: str) -> None:
    """Log what was coerced and what was left, a line for each at level INFO.

    Parameters
    ----------
    items
        The whole report of a conversion.
    where
        The function that converts; the line begins with it.
    """
    for action, word in (("coerced", "changed"), ("left", "left behind")):
        found = [f"{i.kind} {i.item}" for i in items if i.action == action]
        if found:
            logger.info("%s: %s %s.", where, word, listing(found, 5))
