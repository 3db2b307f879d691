"""The arguments of FindAllMarkers(), and what it makes of the sums of a test, by version of Seurat.

Thresholds, fold change, rounding and order differ between versions; each is a named set of rules
here. Source: ``R/differential_expression.R`` of Seurat 4.3.0, 4.4.0, 5.0.0 and 5.0.1 to 5.5.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import InvalidOptionError, listing
from ..options import flag, number, whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

Order = Literal["fold_change", "share"]


@dataclass(frozen=True)
class Rules:
    """How one generation of Seurat makes its table.

    Attributes
    ----------
    name
        The first version that they hold for.
    logfc_threshold, min_pct
        Its defaults.
    sum_then_mean
        Whether the pseudocount is added to the sum over the cells before it is divided by their
        number (5.0 and later), or to the mean (before).
    needs_log
        Whether values count as log-normalised only if the log of the object's commands says so.
    first, last
        What decides between equal p-values: in ``FindMarkers()``, then in ``FindAllMarkers()``.
        ``"size"`` is the size of the fold change without its sign.
    """

    name: str
    logfc_threshold: float
    min_pct: float
    sum_then_mean: bool
    needs_log: bool
    first: Literal["fold_change", "size", "share"]
    last: Literal["fold_change", "share"]


RULES: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules("4.3", 0.25, 0.1, False, True, "fold_change", "fold_change"),
        Rules("4.4", 0.25, 0.1, False, False, "fold_change", "fold_change"),
        Rules("5.0.0", 0.1, 0.01, True, False, "size", "fold_change"),
        Rules("5.0.1", 0.1, 0.01, True, False, "share", "share"),
    )
}
LATEST = "5.0.1"


def rules_of(name: str) -> Rules:
    """Return the rules of a name.

    Parameters
    ----------
    name
        One of :data:`RULES`.

    Raises
    ------
    InvalidOptionError
        There are no such rules.

    Examples
    --------
    >>> rules_of("5.0.1").min_pct
    0.01
    """
    if name not in RULES:
        message = f'`rules` is "{name}", and there are no such rules.'
        raise InvalidOptionError(message, f"Valid: {listing(list(RULES))}.")
    return RULES[name]


def rules_of_version(version: str) -> Rules:
    """Return the rules that a version of Seurat follows; those of 4.3 for older ones.

    Examples
    --------
    >>> rules_of_version("5.2.1").name, rules_of_version("4.3.0.1").name
    ('5.0.1', '4.3')
    """
    parts = tuple(int(part) for part in version.replace("-", ".").split(".")[:3] if part.isdigit())
    begun = [r for r in RULES.values() if tuple(map(int, r.name.split("."))) <= parts]
    return begun[-1] if begun else RULES["4.3"]


@dataclass(frozen=True)
class MarkerOptions:
    """The arguments of ``FindAllMarkers()``, by its names with underscores.

    Attributes
    ----------
    rules
        Whose defaults, fold change and order: a name of :data:`.rules.RULES`.
    expm1
        Whether fold changes are of ``expm1`` of the values, that is whether they are
        log-normalised.
    log_base
        Of the logarithms that the values are: e as in Seurat and scanpy, 2 as in Bioconductor.
    only_pos, logfc_threshold, min_pct, min_diff_pct, return_thresh, features
        As in Seurat; None for a threshold is that of the rules.
    min_cells_group
        A cluster with fewer cells, or with fewer cells beside it, is not tested.
    min_cells_feature
        Only for tests that are not the Wilcoxon test; taken and not used, as there.
    pseudocount_use, base
        Of the fold change.
    max_cells_per_ident, random_seed
        At most so many cells of each side are ranked; None is all.
    """

    rules: str = LATEST
    expm1: bool = True
    log_base: float = math.e
    only_pos: bool = False
    logfc_threshold: float | None = None
    min_pct: float | None = None
    min_diff_pct: float = -math.inf
    return_thresh: float | None = 0.01
    min_cells_group: int = 3
    min_cells_feature: int = 3
    features: Sequence[str] | None = None
    pseudocount_use: float = 1.0
    base: float = 2.0
    max_cells_per_ident: int | None = None
    random_seed: int = 1

    @property
    def scale(self) -> float | None:
        """What the values are multiplied by before ``expm1``; None: they are taken as they are."""
        return math.log(self.log_base) if self.expm1 else None

    @property
    def law(self) -> Rules:
        """The rules themselves."""
        return rules_of(self.rules)

    def checked(self) -> MarkerOptions:
        """Return the options with the thresholds of the rules in place of None.

        Raises
        ------
        InvalidOptionError
            Names the option and what is valid.
        """
        law = self.law
        logfc = law.logfc_threshold if self.logfc_threshold is None else self.logfc_threshold
        min_pct = law.min_pct if self.min_pct is None else self.min_pct
        number("logfc_threshold", logfc)
        number("min_pct", min_pct, 0, 1)
        if self.min_diff_pct != -math.inf:
            number("min_diff_pct", self.min_diff_pct)
        if self.return_thresh is not None:
            number("return_thresh", self.return_thresh)
        number("pseudocount_use", self.pseudocount_use, 0)
        if number("base", self.base, above=0) == 1:
            message = "`base` is 1, which is no base of a logarithm."
            raise InvalidOptionError(message)
        flag("only_pos", self.only_pos)
        flag("expm1", self.expm1)
        number("log_base", self.log_base, above=1)
        for name in ("min_cells_group", "min_cells_feature"):
            whole_number(name, getattr(self, name), 0)
        if self.max_cells_per_ident is not None:
            whole_number("max_cells_per_ident", self.max_cells_per_ident, 1)
        whole_number("random_seed", self.random_seed, 0)
        return replace(self, logfc_threshold=float(logfc), min_pct=float(min_pct))


def fold_change(
    sums: NDArray[np.float64],
    cells: NDArray[np.number] | float,
    rules: Rules,
    *,
    pseudocount: float = 1.0,
    base: float = 2.0,
) -> NDArray[np.float64]:
    """Return the logarithm of the mean of each gene in a group; a difference is a fold change.

    Parameters
    ----------
    sums
        Sums of the values over the cells of the group.
    cells
        How many there are.
    rules
        Where the pseudocount is added.
    pseudocount, base
        As in Seurat.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (sums + pseudocount) / cells if rules.sum_then_mean else sums / cells + pseudocount
        found: NDArray[np.float64] = np.log2(means) if base == 2 else np.log(means) / np.log(base)
    return found


def rounded_share(
    positive: NDArray[np.number], cells: NDArray[np.number] | float
) -> NDArray[np.float64]:
    """Return the share of cells with a value above zero, rounded to three digits as R does.

    R rounds to the nearer of the two candidates as they are stored, and to the even one between
    equally near ones; NumPy scales first, which differs for one share in a thousand or so.

    Examples
    --------
    >>> rounded_share(np.array([1, 3]), np.array([2000, 2000])).tolist()
    [0.0, 0.002]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = positive / cells
    scaled = 1000.0 * share
    floor = np.floor(scaled)
    low, high = floor / 1000.0, np.ceil(scaled) / 1000.0
    below, above = share - low, high - share
    is_even = np.mod(floor, 2) == 0
    found: NDArray[np.float64] = np.where((below < above) | (is_even & (below == above)), low, high)
    return found
