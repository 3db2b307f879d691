"""Why names of clusters do not meet: the difference that explains it, and the line that mends it.

Labels are joined by the exact text. This only looks at what is left over.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..errors import in_language, listing

_Change = Callable[[str], str]

_WHOLE = re.compile(r"[-+]?\d+\.0+")
_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d+)?e[-+]?\d+", re.IGNORECASE)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff\u00ad"))
MOST_SHOWN = 25
"""So many names fit into a line that renames them."""


def _without_exponent(text: str) -> str:
    if _EXPONENT.fullmatch(text) is None or not float(text).is_integer():
        return text
    return str(int(float(text)))


# In the order in which they are tried and named.
_DIFFERENCES: tuple[tuple[str, _Change], ...] = (
    ("Unicode form (é may be one sign or two)", lambda t: unicodedata.normalize("NFC", t)),
    ("blanks", lambda t: " ".join(t.translate(_INVISIBLE).split())),
    ("a decimal, .0", lambda t: t.rpartition(".")[0] if _WHOLE.fullmatch(t) else t),
    ("leading zeros", lambda t: re.sub(r"(?<![\d.])0+(?=\d)", "", t)),
    ("how a number is written, as 1e+05", _without_exponent),
    ("letter case", str.casefold),
    ("hyphens, dots and underscores", lambda t: re.sub(r"[-._/ ]+", " ", t).strip()),
    ("width or form of letters", lambda t: unicodedata.normalize("NFKC", t)),
    ("a word in front", lambda t: re.sub(r"^(?:clusters?|clust)[-._ ]*(?=\d)", "", t,
                                          flags=re.IGNORECASE)),
)  # fmt: skip


@dataclass(frozen=True)
class Explanation:
    """What would make names meet.

    Attributes
    ----------
    differences
        In words.
    pairs
        Name in the table -> name in the object.
    """

    differences: tuple[str, ...]
    pairs: dict[str, str]

    def sentence(self) -> str:
        """Return what they differ in, with an example.

        Examples
        --------
        >>> Explanation(("blanks",), {"T ": "T"}).sentence()
        'They differ only in blanks: "T " in the table is "T" in the object.'
        """
        table, here = next(iter(self.pairs.items()))
        what = " and ".join(self.differences)
        if {here.casefold(), table.casefold()} <= {"true", "false"}:
            what = "how true and false are written (R: TRUE, Python: True)"
        more = len(self.pairs) - 1
        rest = f", and so {'does' if more == 1 else 'do'} {more} more" if more else ""
        return (
            f"They differ only in {what}: {literal(table)} in the table is {literal(here)} in the "
            f"object{rest}."
        )

    def line(self, source: str = "seurat") -> str:
        """Return the line that renames the clusters of the table.

        Parameters
        ----------
        source
            Of the table: that of scanpy calls its clusters ``group``.
        """
        column = "group" if source == "scanpy" else "cluster"
        pairs = dict(list(self.pairs.items())[:MOST_SHOWN])
        both = ", ".join(f"{literal(t)}: {literal(o)}" for t, o in pairs.items())
        in_r = ", ".join(f"{literal(t)} = {literal(o)}" for t, o in pairs.items())
        renamed = f'markers["{column}"] = markers["{column}"].astype(str).replace({{{both}}})'
        text = in_language(
            python=f"To mend it: {renamed}",
            r=f"To mend it: new <- c({in_r}); markers$cluster <- as.character(markers$cluster); "
            "hit <- markers$cluster %in% names(new); "
            "markers$cluster[hit] <- new[markers$cluster[hit]]",
            cli=f"Write them in the table as in the object, in Python: {renamed}; or name another "
            "column with --group-key.",
        )
        if source == "list":
            listed = "{new.get(k, k): v for k, v in markers.items()}"
            text = in_language(
                python=f"To mend it: new = {{{both}}}; markers = {listed}",
                r=f"To mend it: new <- c({in_r}); hit <- names(markers) %in% names(new); "
                "names(markers)[hit] <- new[names(markers)[hit]]",
                cli=text,
            )
        rest = len(self.pairs) - MOST_SHOWN
        return f"{text} (and {rest} more likewise)" if rest > 0 else text


def explain(table: Sequence[str], here: Sequence[str]) -> Explanation | None:
    """Return the smallest difference under which most names of a table would meet, or None.

    Parameters
    ----------
    table, here
        Names that do not meet: of the table, of the object.

    Examples
    --------
    >>> explain(["0.0", "1.0"], ["0", "1"]).pairs
    {'0.0': '0', '1.0': '1'}
    >>> explain(["a"], ["b"]) is None
    True
    """
    best: Explanation | None = None
    names = range(len(_DIFFERENCES))
    for size in (1, 2, 3) if len(table) + len(here) < 1000 else (1,):
        for chosen in combinations(names, size):
            found = _pairs(table, here, [_DIFFERENCES[i][1] for i in chosen])
            if len(found) > (len(best.pairs) if best else 0):
                best = Explanation(tuple(_DIFFERENCES[i][0] for i in chosen), found)
        if best is not None and len(best.pairs) == min(len(table), len(here)):
            break
    return best


def _pairs(table: Sequence[str], here: Sequence[str], changes: Iterable[_Change]) -> dict[str, str]:
    """Return the names that meet once they are changed, and only where it is clear which."""
    of_table, of_object = list(table), list(here)
    for change in changes:
        of_table, of_object = list(map(change, of_table)), list(map(change, of_object))
    once = Counter(of_table)
    place = dict(zip(of_object, here, strict=True))
    several = {text for text, n in Counter(of_object).items() if n > 1}
    return {
        name: place[text]
        for name, text in zip(table, of_table, strict=True)
        if text in place and text not in several and once[text] == 1
    }


def literal(text: str) -> str:
    """Return a name in quotation marks, with codes for what cannot be seen.

    Examples
    --------
    >>> print(literal("T\\u00a0cell"), literal("Kupffer"))
    "T\\u00a0cell" "Kupffer"
    """
    composed = unicodedata.normalize("NFC", text)
    plain = text.isprintable() and composed == text and unicodedata.normalize("NFKC", text) == text
    return json.dumps(text, ensure_ascii=not plain)


def shown(names: Sequence[str], most: int = 10) -> str:
    """Return names for a message; an empty one is named as such."""
    return listing(list(names), most).replace('""', 'an empty name ("")')
