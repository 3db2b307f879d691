"""The table of a test: which genes pass, their statistics, and their order, as in Seurat."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidOptionError, counted, listing
from .contrasts import Contrast
from .rules import MarkerOptions, Rules, fold_change, rounded_share
from .table import Markers
from .wilcoxon import GroupSums, p_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .samples import SampleCounts


@dataclass(frozen=True, eq=False)
class MarkerTable:
    """A marker table as the test made it, in the order of Seurat.

    Attributes
    ----------
    clusters
        All clusters that were asked for, in order.
    cluster, gene
        Of each row: position in ``clusters``, name.
    p_val, avg_log_fc, pct_1, pct_2, p_val_adj
        Of each row, float64.
    z
        Of each row: by how many standard deviations the ranks differ.
    base
        Of the logarithm of the fold change.
    left_out
        Cluster -> why it was not tested.
    details
        What the provenance has of it: test, rules, thresholds.
    n_samples, n_samples_same
        Of each row, where samples were given: how many have cells of the cluster and of the rest,
        and in how many of these the difference has the same direction.
    """

    clusters: tuple[str, ...]
    cluster: NDArray[np.int32]
    gene: NDArray[np.object_]
    p_val: NDArray[np.float64]
    avg_log_fc: NDArray[np.float64]
    pct_1: NDArray[np.float64]
    pct_2: NDArray[np.float64]
    p_val_adj: NDArray[np.float64]
    z: NDArray[np.float64]
    base: float = 2.0
    left_out: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    n_samples: NDArray[np.float64] | None = None
    n_samples_same: NDArray[np.float64] | None = None

    @property
    def fold_change_name(self) -> str:
        """The name of the column of fold changes, as Seurat has it: ``avg_log2FC``."""
        return f"avg_log{'' if self.base == math.exp(1) else f'{self.base:g}'}FC"

    def markers(self) -> Markers:
        """Return it as the marker table of a study; its fold changes are log2."""
        return Markers(
            clusters=self.clusters,
            cluster=self.cluster,
            gene=self.gene,
            avg_log2fc=self.avg_log_fc * np.log2(self.base),
            p_val=self.p_val,
            p_val_adj=self.p_val_adj,
            pct_1=self.pct_1,
            pct_2=self.pct_2,
            n_samples=self.n_samples,
            n_samples_same=self.n_samples_same,
            source="seurat",
            details={
                **self.details,
                **({"left_out": dict(self.left_out)} if self.left_out else {}),
            },
        )


@dataclass(frozen=True)
class ContrastSums:
    """What was read for one contrast: sums over all its cells, and ranks over those tested.

    Attributes
    ----------
    contrast
        All cells.
    sums
        ``positive`` and ``sums`` are of all cells.
    tested
        Of each group: the sums with ranks, the column of the group in them, its cells, all cells.
    samples
        In how many samples there is more, and less, of each gene.
    """

    contrast: Contrast
    sums: GroupSums
    tested: Sequence[tuple[GroupSums, int, int, int]]
    samples: SampleCounts | None = None


def table_of(
    found: Sequence[ContrastSums],
    genes: Sequence[str],
    options: MarkerOptions,
    clusters: Sequence[str],
) -> MarkerTable:
    """Return the table of all contrasts.

    Parameters
    ----------
    found
        What was read.
    genes
        All genes of the matrix: their number is what p-values are multiplied by.
    options
        Checked.
    clusters
        The order of the table.
    """
    names = np.array(genes, dtype=object)
    rows = _wanted(names, options)
    parts: list[tuple[int, NDArray[np.intp], dict[str, NDArray[np.float64]]]] = []
    left_out: dict[str, str] = {}
    for read in found:
        for column, cluster in enumerate(read.contrast.names):
            why = _too_few(read.contrast, column, options)
            if why:
                left_out[cluster] = why
                continue
            parts.append((list(clusters).index(cluster), *_of_cluster(read, column, rows, options)))
    parts.sort(key=lambda part: part[0])
    columns = ["p_val", "fold_change", "pct_1", "pct_2", "p_val_adj", "z"]
    if any(read.samples for read in found):
        columns += ["n_samples", "n_samples_same"]
    joined = {
        name: np.concatenate([part[2][name] for part in parts]) if parts else np.empty(0)
        for name in columns
    }
    chosen = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.intp)
    lengths = [len(part[1]) for part in parts]
    codes = np.repeat(np.array([part[0] for part in parts], np.int32), lengths)
    return MarkerTable(
        clusters=tuple(clusters),
        cluster=codes.astype(np.int32),
        gene=names[chosen],
        p_val=joined["p_val"],
        avg_log_fc=joined["fold_change"],
        pct_1=joined["pct_1"],
        pct_2=joined["pct_2"],
        p_val_adj=joined["p_val_adj"],
        z=joined["z"],
        base=options.base,
        left_out=left_out,
        details=details_of(options),
        n_samples=joined.get("n_samples"),
        n_samples_same=joined.get("n_samples_same"),
    )


def details_of(options: MarkerOptions) -> dict[str, object]:
    """Return what a provenance has of the test."""
    return {
        "test": "Wilcoxon rank sum, normal approximation, corrected for ties and continuity",
        "rules": f"Seurat {options.rules}",
        "only_pos": options.only_pos,
        "logfc_threshold": options.logfc_threshold,
        "min_pct": options.min_pct,
        "return_thresh": options.return_thresh,
        "p_val_adj": "Bonferroni, all genes of the layer",
        "expm1": options.expm1,
    }


def _wanted(names: NDArray[np.object_], options: MarkerOptions) -> NDArray[np.intp]:
    """Return the positions of the genes that are looked at, in the order of rows."""
    if options.features is None:
        return np.arange(len(names))
    position = {name: i for i, name in enumerate(names.tolist())}
    missing = [gene for gene in options.features if gene not in position]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        message = (
            f"`features` names {counted(len(missing), 'gene')} that {are} not there: "
            f"{listing(missing, 5)}."
        )
        raise InvalidOptionError(message, "Name genes as they are in the object.")
    return np.array([position[gene] for gene in dict.fromkeys(options.features)], dtype=np.intp)


def _too_few(contrast: Contrast, number: int, options: MarkerOptions) -> str | None:
    """Say why a group cannot be tested, as Seurat does."""
    sizes = contrast.sizes
    inside, outside = int(sizes[number]), int(sizes.sum() - sizes[number])
    least = options.min_cells_group
    for which, n in (("", inside), (" beside it", outside)):
        if n == 0:
            return f"There is no cell{which}."
        if n < least:
            return (
                f"There are {n} cells{which}, fewer than {least}."
                if n > 1
                else f"There is 1 cell{which}, fewer than {least}."
            )
    return None


def _of_cluster(
    read: ContrastSums, number: int, rows: NDArray[np.intp], options: MarkerOptions
) -> tuple[NDArray[np.intp], dict[str, NDArray[np.float64]]]:
    """Return the genes of one cluster that pass, in order, and their columns."""
    law = options.law
    sizes = read.contrast.sizes
    inside = int(sizes[number])
    outside = int(sizes.sum()) - inside
    positive, sums = read.sums.positive[rows], read.sums.sums[rows]
    others = [i for i in range(len(sizes)) if i != number]
    given = {"pseudocount": options.pseudocount_use, "base": options.base}
    change = fold_change(sums[:, number], inside, law, **given) - fold_change(
        # Not all minus the cluster, whose rounding would be the sum of a gene that no other has.
        sums[:, others].sum(axis=1),
        outside,
        law,
        **given,
    )
    pct_1 = rounded_share(positive[:, number], inside)
    pct_2 = rounded_share(positive[:, others].sum(axis=1), outside)
    larger, smaller = np.maximum(pct_1, pct_2), np.minimum(pct_1, pct_2)
    size = change if options.only_pos else np.abs(change)
    with np.errstate(invalid="ignore"):
        passes = (larger >= (options.min_pct or 0)) & (larger - smaller >= options.min_diff_pct)
        passes &= size >= (options.logfc_threshold or 0)
        if options.only_pos:
            passes &= change > 0
    kept = np.flatnonzero(passes)
    tested, column, n_first, n_all = read.tested[number]
    place = rows[kept]
    p, z = p_values(
        tested.rank_sums[place, column][:, None], tested.ties[place], np.array([n_first]), n_all
    )
    columns = {
        "p_val": p[:, 0],
        "fold_change": change[kept],
        "pct_1": pct_1[kept],
        "pct_2": pct_2[kept],
        "p_val_adj": np.minimum(1.0, p[:, 0] * len(read.sums.ties)),
        "z": z[:, 0],
    }
    if read.samples is not None:
        columns["n_samples"] = np.full(len(kept), float(read.samples.n[number]))
        columns["n_samples_same"] = read.samples.of(number, place, change[kept]).astype(float)
    order = _order(columns, law)
    if options.return_thresh is not None:
        order = order[columns["p_val"][order] < options.return_thresh]
    return place[order], {name: values[order] for name, values in columns.items()}


def _order(columns: Mapping[str, NDArray[np.float64]], law: Rules) -> NDArray[np.intp]:
    """Return the order of ``FindMarkers()``, then that of ``FindAllMarkers()`` over it."""
    change = columns["fold_change"]
    by = {
        "fold_change": -change,
        "size": -np.abs(change),
        "share": -np.abs(columns["pct_1"] - columns["pct_2"]),
    }
    order: NDArray[np.intp] = np.arange(len(change))
    for rule in (law.first, law.last):
        order = order[np.lexsort((by[rule][order], columns["p_val"][order]))]
    return order
