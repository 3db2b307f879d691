"""Clusters: which cluster each cell is in, their exact text and their natural order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


_DIGITS = "0123456789"


@dataclass(frozen=True)
class Clusters:
    """Which cluster each cell is in.

    Attributes
    ----------
    names
        The clusters that have at least one cell, as text, in the user's order.
    codes
        One int32 per cell: position in ``names``, or -1 for a cell without a cluster.
        None when only a marker table was given.
    sizes
        Cells per cluster where ``codes`` is gone but the sizes are known (a resumed run).
    totals
        Cells per cluster in the object, where only some of them are in the study: those that
        the assay has. None where they are the same.
    """

    names: tuple[str, ...]
    codes: NDArray[np.int32] | None = None
    sizes: tuple[int, ...] | None = None
    totals: tuple[int, ...] | None = None

    @classmethod
    def from_labels(
        cls, labels: Sequence[object], levels: Sequence[object] | None = None
    ) -> Clusters:
        """Build from one label per cell (None or NaN: no cluster), unused levels dropped.

        Without ``levels`` the order is natural: "2" comes before "10".

        Parameters
        ----------
        labels
            n values: text, numbers, or missing (None, NaN, NA).
        levels
            All clusters in order, also unused ones; None sorts the labels naturally.

        Examples
        --------
        >>> Clusters.from_labels(["10", "2", None]).names
        ('2', '10')
        """
        texts = [cluster_text(label) for label in labels]
        present = {t for t in texts if t is not None}
        if levels is None:
            names = tuple(sorted(present, key=natural_key))
        else:
            ordered = [t for t in (cluster_text(level) for level in levels) if t is not None]
            names = tuple(t for t in dict.fromkeys(ordered) if t in present)
        position = {name: i for i, name in enumerate(names)}
        codes = np.fromiter(
            (-1 if t is None else position[t] for t in texts), dtype=np.int32, count=len(texts)
        )
        return cls(names, codes)

    @classmethod
    def from_column(cls, column: pd.Series) -> Clusters:
        """Build from a column of metadata; categories decide the order.

        Parameters
        ----------
        column
            n values; one without categories is read as by :meth:`from_labels`.

        Examples
        --------
        >>> import pandas as pd
        >>> Clusters.from_column(pd.Series(["a", "b", None]).astype("category")).names
        ('a', 'b')
        """
        if not hasattr(column, "cat"):
            return cls.from_labels(list(column))
        # Each category is looked at once, not the label of each cell.
        codes = np.asarray(column.cat.codes)
        texts = [cluster_text(level) for level in column.cat.categories]
        used = np.bincount(codes[codes >= 0], minlength=len(texts))
        present = {text for text, n in zip(texts, used, strict=True) if n}
        names = tuple(t for t in dict.fromkeys(texts) if t is not None and t in present)
        position = {name: i for i, name in enumerate(names)}
        moved = [-1 if text is None else position.get(text, -1) for text in texts]
        return cls(names, np.array([*moved, -1], dtype=np.int32)[codes])

    def counts(self) -> dict[str, int] | None:
        """Return the number of cells of each cluster, or None without cells."""
        if self.codes is None:
            sizes = self.sizes
            return None if sizes is None else dict(zip(self.names, sizes, strict=True))
        found = np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))
        return {name: int(n) for name, n in zip(self.names, found, strict=True)}

    def with_others(self, codes: NDArray[np.int32]) -> Clusters:
        """Return the same clusters, of whose cells in the object only some are in the study.

        Parameters
        ----------
        codes
            Of the cells that are not in the study.
        """
        own = (self.counts() or {}).values()
        others = np.bincount(codes[codes >= 0], minlength=len(self.names))
        totals = tuple(int(a + b) for a, b in zip(own, others, strict=True))
        return replace(self, totals=totals)

    def counts_in_object(self) -> dict[str, int] | None:
        """Return the cells of each cluster in the object, as :meth:`counts` does of the study."""
        if self.totals is None:
            return self.counts()
        return dict(zip(self.names, self.totals, strict=True))


def cluster_text(value: object) -> str | None:
    """Return the exact text of one cluster, or None where there is none.

    Whole floats lose their ``.0`` because pandas and R make floats of integer clusters
    as soon as one value is missing.

    Examples
    --------
    >>> cluster_text(3.0), cluster_text("3.0"), cluster_text(float("nan"))
    ('3', '3.0', None)
    """
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value:  # noqa: PLR0124
        return None
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which "2" comes before "10" and "a2" before "a10".

    Only the digits 0 to 9 make numbers, and of equal numbers the one with more zeros in front
    comes first, wherever it stands, as in R. natsort has superscripts and digits of other
    scripts among the numbers, takes letters apart from their accents, and looks at zeros in
    front only where all else is equal.

    Examples
    --------
    >>> sorted(["a10", "a2", "10", "9", "09"], key=natural_key)
    ['09', '9', '10', 'a2', 'a10']
    """
    return tuple(
        (0, int(part), part) if part[0] in _DIGITS else (1, 0, part)
        for part in re.findall(r"[0-9]+|[^0-9]+", text)
    )
