"""How text is made comparable: labels, ids of the Cell Ontology, tokens such as names of columns.

Only for comparing: what is shown or stored stays as somebody wrote it.
"""

from __future__ import annotations

import re

_ONTOLOGY_ID = re.compile(
    r"(?:https?://purl\.obolibrary\.org/obo/|obo:)?CL[:_](\d{7})", re.IGNORECASE
)
_INSIDE = re.compile(r"(?<![A-Za-z0-9])CL[:_](\d{7})(?!\d)")

UNKNOWN_WORDS = frozenset(
    {"unknown", "unassigned", "unclassified", "undetermined", "n/a", "unknown cell",
     "unknown cell type"}
)  # fmt: skip
"""Labels, as :func:`normalized` gives them, by which somebody says that they do not know."""


def normalized(text: str) -> str:
    """Return a label without case, hyphens, underscores and superfluous spaces.

    Examples
    --------
    >>> normalized(" T-cell ")
    't cell'
    """
    return re.sub(r"[\s_-]+", " ", text).strip().casefold()


def singular(text: str) -> str:
    """Return a normalized label with its last word in the singular.

    Examples
    --------
    >>> singular("dendritic cells"), singular("microglia")
    ('dendritic cell', 'microglia')
    """
    for plural, ending in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if text.endswith(plural) and not text.endswith(("ss", "us", "is")):
            return text.removesuffix(plural) + ending
    return text


def says_unknown(label: str) -> bool:
    """Whether a label says that the cell type is not known.

    Examples
    --------
    >>> says_unknown(" Unassigned"), says_unknown("T cell")
    (True, False)
    """
    return normalized(label) in UNKNOWN_WORDS


def ontology_id(text: str) -> str | None:
    """Return the id of the Cell Ontology that a text is, None if it is none.

    Examples
    --------
    >>> [ontology_id(t) for t in ("CL:0000236", " cl_0000236", "B cell")]
    ['CL:0000236', 'CL:0000236', None]
    >>> ontology_id("http://purl.obolibrary.org/obo/CL_0000236")
    'CL:0000236'
    """
    match = _ONTOLOGY_ID.fullmatch(text.strip())
    return f"CL:{match[1]}" if match else None


def ontology_id_in(text: str) -> str | None:
    """Return the first id of the Cell Ontology in a text, None if there is none.

    Examples
    --------
    >>> ontology_id_in("B_CELLS (CL_0000236)")
    'CL:0000236'
    """
    match = _INSIDE.search(text)
    return f"CL:{match[1]}" if match else None


def token_of(name: str) -> str:
    """Return a name, as of a column or a layer, without case, dots, underscores, hyphens, spaces.

    Examples
    --------
    >>> token_of("Raw_counts"), token_of("Avg.log2_FC")
    ('rawcounts', 'avglog2fc')
    """
    return "".join(c for c in name.casefold() if c not in "._- ")
