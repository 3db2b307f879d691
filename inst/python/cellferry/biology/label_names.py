"""Names that common annotators write and the Cell Ontology does not have, such as "CD4 TCM".

A small table (``data/label_names.tsv``; ``data/README.md`` says more). A name that stands for two
types has the term that both are kinds of.
"""

from __future__ import annotations

import functools
from importlib import resources

from .text import normalized, singular


@functools.cache
def label_names() -> dict[str, str]:
    """Return name, normalized and in the singular -> id of its term."""
    path = resources.files("cellferry") / "data" / "label_names.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {singular(normalized(name)): identifier for name, identifier, _ in rows[1:]}


def written_by_tools(text: str) -> str | None:
    """Return the id of the term that an annotator means by a name, None if it is not known.

    Parameters
    ----------
    text
        Case, blanks, hyphens and plural do not count.

    Examples
    --------
    >>> written_by_tools("CD14_Mono"), written_by_tools("Tem/Temra cytotoxic T cells")
    ('CL:0001054', 'CL:0000625')
    """
    return label_names().get(singular(normalized(text)))
