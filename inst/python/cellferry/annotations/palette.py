"""The colours of labels, for every picture: the one place that has them."""

from __future__ import annotations

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
