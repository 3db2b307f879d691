"""Tissues: what users call them, and which types occur there."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

ANYWHERE = "any"


@functools.cache
def _table() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return name, part of, and all names in small letters."""
    text = (resources.files("cellferry") / "data" / "tissues.tsv").read_text(encoding="utf-8")
    rows = []
    for line in text.splitlines()[1:]:
        name, _, label, part_of, other = (*line.split("\t"), "", "")[:5]
        names = [name, label, *other.split(";")]
        rows.append((name, part_of, tuple(dict.fromkeys(x.strip() for x in names if x.strip()))))
    return tuple(rows)


def tissues_of(text: str) -> frozenset[str]:
    """Return the tissues that a free text names, with the parts of each and what it is part of.

    Examples
    --------
    >>> sorted(tissues_of("Human colon, healthy"))
    ['intestine', 'large intestine']
    >>> sorted(tissues_of("PBMCs"))
    ['blood']
    """
    words = text.casefold()
    spans = [
        (match.span(), name)
        for name, _, names in _table()
        for n in names
        for match in re.finditer(rf"(?<!\w){re.escape(n)}(?!\w)", words)
    ]
    # Bone marrow is no bone: a name inside of a longer one does not count.
    found = {
        name
        for (start, end), name in spans
        if not any(a <= start and end <= b and (a, b) != (start, end) for (a, b), _ in spans)
    }
    if "fetal liver" in found:
        found.add("liver")
    whole = {part_of for name, part_of, _ in _table() if name in found and part_of}
    parts = {name for name, part_of, _ in _table() if part_of in found}
    return frozenset(found | whole | parts)


def occurs(types: Iterable[str], tissues: frozenset[str]) -> bool:
    """Whether a type that is known from some tissues may occur in others.

    Examples
    --------
    >>> occurs(["liver"], frozenset({"lung"})), occurs(["any"], frozenset({"lung"}))
    (False, True)
    """
    known = set(types)
    return not known or ANYWHERE in known or not tissues or bool(known & tissues)
