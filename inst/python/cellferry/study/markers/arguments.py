"""The arguments of a search for markers, as those of Seurat's ``FindAllMarkers()``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...errors import InvalidOptionError
from ..options import flag, number, whole_number
from .rules import LATEST, Rules, rules_of


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
