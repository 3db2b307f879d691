"""The colours of labels, for every picture: the one place that has and gives them.

A label has its colour from its term and lineage, not from its place or from its neighbours: the
table of levels (:mod:`..biology.lineage`) gives common types one each; a kind of them gets one
that looks like theirs, any other text one of its own, by its hash. Where two labels of one record
would look alike, :func:`colours` says which of them moves.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..biology.lineage import levels_of, row_of
from ..biology.text import normalized
from ..errors import InvalidOptionError, nearest
from .clusters import UNKNOWN
from .levels import term_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .clusters import Annotations

SAFE = 12
"""Colours, from the first on, that every colour vision tells apart."""

PALETTE: tuple[tuple[str, str], ...] = (
    ("#0072b2", "#9cc0fc"),
    ("#e69f00", "#f0d830"),
    ("#009e73", "#6cfca8"),
    ("#cc79a7", "#b46078"),
    ("#56b4e9", "#cce4fc"),
    ("#d55e00", "#e48400"),
    ("#540c00", "#d84824"),
    ("#3c0078", "#a848fc"),
    ("#a83000", "#e4a884"),
    ("#9c6cfc", "#9090fc"),
    ("#0000cc", "#6c78c0"),
    ("#6c3c60", "#b490b4"),
    ("#cc009c", "#e46084"),
    ("#6c0cfc", "#a860b4"),
    ("#003c3c", "#54cc9c"),
    ("#006c3c", "#608424"),
    ("#84c06c", "#b4d89c"),
    ("#846c6c", "#d8c0cc"),
    ("#fc84fc", "#f00cb4"),
    ("#840090", "#f0a8e4"),
    ("#f000e4", "#c09cfc"),
    ("#c0a89c", "#fce4c0"),
    ("#9c0cd8", "#d80ce4"),
    ("#d8003c", "#a87854"),
    ("#543c00", "#a8cc00"),
    ("#a88454", "#fcfc90"),
    ("#6030b4", "#c078cc"),
    ("#6c84cc", "#84a8d8"),
    ("#fc2484", "#fc0048"),
    ("#9c3c78", "#d88484"),
    ("#303c78", "#2484e4"),
    ("#182454", "#249ccc"),
    ("#78003c", "#cc489c"),
    ("#f0606c", "#fc6cb4"),
    ("#486060", "#9cfce4"),
    ("#e49ccc", "#f084e4"),
    ("#000090", "#0084a8"),
    ("#9c9c18", "#90a854"),
    ("#607848", "#ccfc00"),
    ("#a848b4", "#fc3cf0"),
)
"""Colours for a light and a dark page, in the order in which labels get them.

The first six are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/) that stand out
from white. The next six, and all of the dark page, were searched for so that the least distance of
two, in Oklab (Ottosson 2020, https://bottosson.github.io/posts/oklab/), is as large as it gets for
normal vision, protanopia, deuteranopia and tritanopia (Machado and others 2009,
https://doi.org/10.1109/TVCG.2009.113). Forty can't be told apart by everybody: those after
:data:`SAFE` are as far as possible from all before in normal vision.
"""

UNKNOWN_COLOURS = ("#6f787e", "#96a0a6")
"""Of the label "Unknown", for a light and a dark page."""

NO_LABEL_COLOURS = ("#c6cccf", "#4a545a")
"""Of cells without a label, for a light and a dark page."""

ALIKE = 0.07
"""Distance in Oklab below which two colours are too near each other."""

APART = (0.14, 0.105, ALIKE)
"""Distances that a colour should have from all others that is given instead of another."""

RELATED = 8
"""How many colours are like a given one, and given to kinds of its type."""

STORED = "colors"
"""Where the provenance of a record has own colours, by label."""

# Machado and others 2009, severity 1: what linear light becomes.
_VISIONS = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
)
# Ottosson 2020: linear light to cones, and their cube roots to Oklab.
_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


class Tone(NamedTuple):
    """A colour on a light and on a dark page, and its number in :data:`PALETTE`, if it is there."""

    light: str
    dark: str
    number: int | None = None


def colours(
    labels: Iterable[str | None],
    ids: Sequence[str | None] | None = None,
    own: Mapping[str, str] | None = None,
) -> dict[str, Tone]:
    """Return the colour of each label.

    Labels with a row in the table of levels come first, types before subtypes, then the others by
    term and name. Each takes the first of its colours that no label before it has, and that is not
    nearer to one of theirs than :data:`ALIKE`: up to :data:`SAFE` labels in the eyes of every
    colour vision, above that in normal vision. A label whose own colour is taken gets the one most
    like it that is far enough from all. Where the palette has nothing left, colours repeat. So
    another set of labels changes a colour only where two of them would be alike; a record keeps the
    rows of clusters that are gone, so that a subset changes none.

    Parameters
    ----------
    labels
        May repeat; None and "Unknown" have the greys.
    ids
        Their terms, in the same order. A label without one is looked up.
    own
        Colours that somebody chose, by label; the others keep away from them.

    Returns
    -------
    dict of str to Tone
        In the order of the labels' first appearance, without None.

    Examples
    --------
    >>> found = colours(["B cell", "T cell", "Unknown"])
    >>> found["T cell"].light, found["T cell"] == colours(["T cell"])["T cell"]
    ('#0072b2', True)
    """
    given, chosen = list(labels), dict(own or {})
    terms: dict[str, str | None] = {}
    for label, identifier in zip(given, ids or [None] * len(given), strict=True):
        if label is not None and terms.get(label) is None:
            terms[label] = identifier
    named = {x: term_of(x, i) for x, i in terms.items() if x != UNKNOWN and x not in chosen}
    wishes = {x: tuple(_wishes(x, named[x])) for x in sorted(named, key=lambda x: _rank(x, named))}
    taken = [_seen((colour, colour))[:, :, 0] for colour in chosen.values()]
    numbers = _given(wishes, taken, everybody=len(wishes) + len(chosen) <= SAFE)
    made: dict[str, Tone] = {}
    for label in terms:
        if label in chosen:
            made[label] = Tone(chosen[label], chosen[label])
        elif label == UNKNOWN:
            made[label] = Tone(*UNKNOWN_COLOURS)
        else:
            made[label] = Tone(*PALETTE[numbers[label]], numbers[label])
    return made


def colours_of(found: Annotations) -> dict[str, Tone]:
    """Return the colour of each label of a record; own ones are in its provenance.

    Parameters
    ----------
    found
        All rows count, also those of clusters without cells.
    """
    kept = found.provenance.get(STORED)
    own = {str(k): str(v) for k, v in kept.items()} if isinstance(kept, Mapping) else {}
    return colours(found.column("label"), found.column("ontology_id"), own)


def check_own(chosen: Mapping[str, str], labels: Iterable[str | None]) -> dict[str, str]:
    """Return own colours in their one spelling, ``#rrggbb``.

    Parameters
    ----------
    chosen
        Label -> colour, ``#rgb`` or ``#rrggbb``.
    labels
        Those of the record.

    Raises
    ------
    InvalidOptionError
        There is no such label, or a value is no colour.

    Examples
    --------
    >>> check_own({"B cell": "#1AF"}, ["B cell"])
    {'B cell': '#11aaff'}
    """
    known = [label for label in dict.fromkeys(labels) if label is not None]
    made: dict[str, str] = {}
    for label, colour in chosen.items():
        if label not in known:
            guess = nearest(str(label), known)
            hint = f'Did you mean "{guess}"?' if guess else "Name a label of the record."
            message = f'There is no label "{label}" to be coloured.'
            raise InvalidOptionError(message, hint)
        digits = colour.removeprefix("#").lower() if isinstance(colour, str) else ""
        if not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", str(colour)):
            message = f'The colour of "{label}" is {colour!r}, which is no colour.'
            raise InvalidOptionError(message, 'Write it as "#rrggbb", for example "#1b9e77".')
        made[label] = "#" + (digits if len(digits) == 6 else "".join(2 * d for d in digits))
    return made


def _rank(label: str, terms: Mapping[str, str | None]) -> tuple[int, int, str, str]:
    """Return who is asked first: types of the table, then terms, then free text."""
    term = terms[label]
    if term is None:
        return 2, 0, "", label
    row = row_of(term)
    if row is None:
        return 1, 0, term, label
    # Types before subtypes; of two labels of one, the one that is called as it is.
    other_name = normalized(label) != normalized(row.label)
    return 0, 2 * (row.level == "fine") + other_name, term, label


def _wishes(label: str, term: str | None) -> Iterator[int]:
    """Yield the numbers of all colours, those that a label wants most first."""
    count, near = len(PALETTE), _order_by_likeness()
    seed = int.from_bytes(hashlib.blake2b((term or normalized(label)).encode()).digest()[:8], "big")
    row = None if term is None else row_of(term)
    if row is not None:
        yield from near[row.colour]
        return
    rows = () if term is None else [row_of(level) for level in reversed(levels_of(term))]
    home = next((found.colour for found in rows if found is not None), None)
    if home is None:
        yield from np.random.default_rng(seed).permutation(count).tolist()
        return
    like = near[home][1 : RELATED + 1]
    start = seed % len(like)
    yield from (*like[start:], *like[:start], home, *near[home][RELATED + 1 :])


def _given(
    wishes: Mapping[str, Sequence[int]], taken: list[NDArray[np.float64]], *, everybody: bool
) -> dict[str, int]:
    """Return the number of each label's colour, asked in the order of `wishes`.

    `taken` are colours, as they are seen, that are given already.
    """
    seen = _seen_palette()
    made: dict[str, int] = {}
    for label, wished in wishes.items():
        placed = [*taken, *(seen[:, number] for number in made.values())]
        free = [n for n in wished if n not in made.values()]
        if not free:
            # More labels than colours: those that the fewest labels have come round again.
            uses = [list(made.values()).count(n) for n in range(len(PALETTE))]
            made[label] = min(wished, key=lambda n: uses[n])
            continue
        room = {n: _room(seen[:, n], placed, everybody=everybody) for n in free}
        if wished[0] in room and room[wished[0]] >= ALIKE:
            made[label] = wished[0]
            continue
        fits = (n for least in APART for n in free if room[n] >= least)
        best = next(fits, None)
        if best is None and everybody and not taken:
            # The safe colours alone are always enough for so few labels.
            safe = {x: [n for n in w if n < SAFE] for x, w in wishes.items()}
            return _given(safe, taken, everybody=True)
        made[label] = max(free, key=lambda n: room[n]) if best is None else best
    return made


def _room(
    colour: NDArray[np.float64], placed: list[NDArray[np.float64]], *, everybody: bool
) -> float:
    """Return the distance of a colour to the nearest of others, on both pages.

    Colours are visions x pages x 3.
    """
    if not placed:
        return float("inf")
    visions = slice(None) if everybody else slice(0, 1)
    apart = np.linalg.norm(np.stack(placed) - colour, axis=-1)
    return float(apart[:, visions].min())


@functools.cache
def _seen_palette() -> NDArray[np.float64]:
    """Return the palette as it is seen: visions x colours x pages x 3."""
    return np.stack([_seen([pair[page] for pair in PALETTE])[:, :, 0] for page in (0, 1)], axis=2)


@functools.cache
def _order_by_likeness() -> tuple[tuple[int, ...], ...]:
    """Return for each colour all of them, itself first, then by likeness on a light page."""
    light = _seen_palette()[0, :, 0]
    apart = np.linalg.norm(light[:, None] - light[None], axis=-1).round(6)
    return tuple(tuple(np.argsort(row, kind="stable").tolist()) for row in apart)


def _seen(hexes: Sequence[str]) -> NDArray[np.float64]:
    """Return colours in Oklab, by visions: visions x colours x 1 x 3."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in hexes])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    visions = [np.clip(linear @ np.array(vision).T, 0, 1) for vision in _VISIONS]
    cones = np.stack(visions) @ np.array(_CONES).T
    return np.asarray((np.cbrt(cones) @ np.array(_LAB).T)[:, :, None, :])
