"""Names that common annotators write and the Cell Ontology does not have, such as "CD4 TCM".

A small table (``data/label_names.tsv``; ``data/README.md`` says more). A name that stands for two
types has the term that both are kinds of. Names may be short ("Dendritic", "acinar") or begin with
surface markers ("CD19+ B", "CD4+/CD45RA+/CD25- Naive T"), as those of sorted cells do.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources

from .lineage import named
from .text import normalized, singular

_SURFACE = re.compile(r"cd\d+[a-z]{0,3}[+-]?", re.IGNORECASE)
"""A surface marker in a name, such as ``CD45RA+``."""
_NOT_SHORT = frozenset({"alpha", "beta", "gamma", "delta", "epsilon", "blood"})
"""With "cell" behind them these would be types of one tissue, or no types at all."""


@functools.cache
def label_names() -> dict[str, str]:
    """Return name, normalized and in the singular -> id of its term."""
    path = resources.files("cellferry") / "data" / "label_names.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {singular(normalized(name)): identifier for name, identifier, _ in rows[1:]}


def term_named(text: str) -> str | None:
    """Return the id of the term that a name is, of the ontology or as biologists write it.

    Nothing of the name is left out for it, other than in :func:`written_by_tools`.

    Examples
    --------
    >>> term_named("Kupffer cells"), term_named("CD4 T cell"), term_named("CD14+ Mono")
    ('CL:0000091', 'CL:0000624', None)
    """
    return named(text) or label_names().get(singular(normalized(text)))


def written_by_tools(text: str) -> str | None:
    """Return the id of the term that an annotator means by a name, None if it is not known.

    Parameters
    ----------
    text
        Case, blanks, hyphens and plural do not count. "cell" may be left out. Of surface markers
        CD4 and CD8 count where they say more; the others are left out.

    Examples
    --------
    >>> written_by_tools("CD14_Mono"), written_by_tools("Tem/Temra cytotoxic T cells")
    ('CL:0001054', 'CL:0000625')
    >>> written_by_tools("CD19+ B"), written_by_tools("Dendritic"), written_by_tools("donor 1")
    ('CL:0000236', 'CL:0000451', None)
    """
    found = label_names().get(singular(normalized(text)))
    for reading in () if found else _readings(text):
        found = term_named(reading)
        if found:
            break
    return found


def _readings(text: str) -> Iterator[str]:
    """Yield what a short name may mean, the one that keeps most first."""
    words = [word for word in re.split(r"[\s/,;_]+", text) if word]
    rest = " ".join(word for word in words if not _SURFACE.fullmatch(word))
    if not rest:
        return
    lineages = {"CD4", "CD8"} & {w.upper().rstrip("+") for w in words if _SURFACE.fullmatch(w)}
    told = f"{lineages.pop()} {rest}" if len(lineages) == 1 else rest
    for name in dict.fromkeys((text, told, rest)):
        if name != text:
            yield name
        if name.casefold() not in _NOT_SHORT and not re.search(r"(?i)\bcells?$", name):
            yield f"{name} cell"
