"""Which column of a marker table is what: the names of each format, and nothing else.

Order of precedence: a column the caller names; an exact name of the format at hand; an
exact name of any format, in the order listed here; an alias. Two formats at once, or two
aliases of one thing, are an error and never a choice made in silence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...biology.text import token_of
from ...errors import (
    InvalidOptionError,
    MarkersFormatError,
    MarkersStatisticError,
    in_language,
    listing,
    nearest,
)

LOG2_OF_NATURAL = 1.0 / math.log(2.0)
"""log2(x) = ln(x) / ln(2)."""

FORMATS: dict[str, tuple[str, str]] = {
    "seurat": ("cluster", "gene"),
    "scanpy": ("group", "names"),
    "presto": ("group", "feature"),
    "monocle3": ("cell_group", "gene_short_name"),
}
"""The columns of clusters and genes of each format."""

STATISTICS: dict[str, tuple[str, ...]] = {
    "avg_log2fc": ("avg_log2FC", "logfoldchanges", "avg_logFC"),
    "p_val": ("p_val", "pvals", "pval"),
    "p_val_adj": ("p_val_adj", "pvals_adj", "padj"),
    "pct_1": ("pct.1", "pct_nz_group", "pct_in"),
    "pct_2": ("pct.2", "pct_nz_reference", "pct_out"),
    "score": ("Score", "scores"),
}
"""Field of Markers -> exact names, of Seurat, scanpy and presto, best first."""

ALIASES: dict[str, tuple[str, ...]] = {
    "cluster": (
        *("cluster", "clusters", "clusterid", "clustername", "seuratclusters"),
        *("group", "ident", "leiden", "louvain", "celltype", "cellgroup"),
    ),
    "gene": (
        *("gene", "genes", "genename", "genesymbol", "symbol", "feature", "names"),
        *("marker", "markers", "markergene", "markergenes", "markerlist", "genelist"),
        *("topmarkers", "topgenes", "geneshortname"),
    ),
    # scran works on logarithms of base 2.
    "avg_log2fc": (
        *("avglog2fc", "log2fc", "log2foldchange", "logfoldchanges", "avglogfc"),
        "summarylogfc",
    ),
    "p_val": ("pval", "pvals", "pvalue", "markertestpvalue"),
    "p_val_adj": (
        *("pvaladj", "pvalsadj", "padj", "adjpval", "adjpvalue", "fdr", "qvalue"),
        *("markertestqvalue", "padjloc"),
    ),
    "pct_1": ("pct1", "pctnzgroup", "pctin", "fractionexpressing", "selfdetected"),
    "pct_2": ("pct2", "pctnzreference", "pctout", "otherdetected"),
    "score": ("score", "scores", "markerscore", "summaryauc"),
}
"""What is also understood; compared without case, dots, underscores, hyphens and spaces."""

THE_FORMATS = (
    "cellferry reads Seurat FindAllMarkers() (columns cluster, gene, avg_log2FC, p_val_adj, pct.1, "
    "pct.2), scanpy rank_genes_groups_df() (group, names, scores, logfoldchanges, pvals_adj), "
    "tables of presto, scran, monocle3, COSG, DESeq2 and Cell Ranger, one column of genes for each "
    "cluster, and a two-column table (cluster, marker_genes) with the genes of a cluster separated "
    "by commas. Name the columns by `cluster_column` and `gene_column` if they have other names."
)

Way = Literal["mean", "largest", "difference"]
"""How several columns make one value."""

_LOG2_FOR_SURE = ("logCPM", "AveExpr", "adj.P.Val", "p_adj.loc")
"""Columns of edgeR, limma and muscat, whose logFC is of base 2."""
_OF_GROUPS = re.compile(r"(?P<group>.+)_(?P<what>avg_log2FC|avg_logFC|p_val_adj|pct\.1|pct\.2)")
_LOOKS: dict[str, re.Pattern[str]] = {
    "a fold change": re.compile(r"logfc|log2fc|lfc|foldchange|^fc$|fc$"),
    "clusters": re.compile(r"cluster|group|celltype|label|annotation|ident|population|lineage"),
    "genes": re.compile(r"gene|symbol|feature|ensembl|hgnc|mgi"),
}


@dataclass(frozen=True)
class Layout:
    """Which column holds what.

    Attributes
    ----------
    cluster, gene
        Names of these two columns.
    statistics
        Field of Markers -> name of the column and the factor that gives the unit of the field.
    combined
        Field of Markers -> how several columns make it, and their names.
    source
        ``"seurat"`` or ``"scanpy"``.
    guessed
        Whether the genes are in a column of unknown name, because there are only two.
    """

    cluster: str
    gene: str
    statistics: dict[str, tuple[str, float]] = field(default_factory=dict)
    source: str = "seurat"
    guessed: bool = False
    combined: dict[str, tuple[Way, tuple[str, ...]]] = field(default_factory=dict)

    @property
    def numeric(self) -> frozenset[str]:
        """Names of the columns of numbers that are read."""
        single = {column for column, _ in self.statistics.values()}
        return frozenset(single.union(*(columns for _, columns in self.combined.values())))


def find_layout(
    names: Sequence[str], what: str, cluster_column: str | None, gene_column: str | None
) -> Layout:
    """Return which column is what.

    Parameters
    ----------
    names
        Names of the columns.
    what
        What the table is called in messages.
    cluster_column, gene_column
        Columns that the caller names; None looks for them.

    Raises
    ------
    InvalidOptionError
        A column that the caller names does not exist.
    MarkersFormatError
        The clusters or the genes are in no known column, or in more than one.
    """
    given = _given(names, what, cluster_column=cluster_column, gene_column=gene_column)
    pairs = [f for f, pair in FORMATS.items() if all(p in names for p in pair)]
    if len(pairs) > 1 and len(given) < 2:
        found = "; ".join(f"{f}: {listing(FORMATS[f])}" for f in pairs)
        message = f"{what} has the columns of several formats ({found})."
        raise MarkersFormatError(message, "Choose by `cluster_column` and `gene_column`.")
    style = pairs[0] if len(pairs) == 1 else _style(names)
    statistics = _statistics(names, what, style, taken=set(given.values()))
    combined = _combined([n for n in names if n not in given.values()], statistics)
    used = {column for column, _ in statistics.values()}
    used = used.union(*(columns for _, columns in combined.values()))
    roles = dict(given)
    for position, role in enumerate(("cluster", "gene")):
        if role in roles:
            continue
        free = [n for n in names if n not in used and n not in roles.values()]
        exact = [FORMATS[style][position], *(pair[position] for pair in FORMATS.values())]
        column = _one(role, free, exact, what)
        if column is not None:
            roles[role] = column
    guessed = "gene" not in roles
    if len(roles) < 2 and len(names) == 2 and not used:
        roles = _two_columns(names, roles)
    if len(roles) < 2:
        raise _not_recognised(names, what, roles, style, used)
    source = "scanpy" if style == "scanpy" else "seurat"
    return Layout(roles["cluster"], roles["gene"], statistics, source, guessed, combined)


def no_statistic(names: Sequence[str], what: str) -> MarkersStatisticError:
    """Return the error for a table of more than two columns by which nothing can be ranked."""
    message = (
        f"{what} has nothing to rank genes by: no fold change, score, p-value or percentages. "
        f"Its columns: {listing(tuple(names))}."
    )
    alike = looking_like("a fold change", names)
    if alike:
        message += f" {listing(alike, 3)} looks like a fold change, but its name does not say of "
        message += "which base the logarithm is."
    hint = (
        "Call the fold change avg_log2FC (log base 2) or avg_logFC (natural logarithm). If the "
        "order of the rows is the rank, keep only the columns of clusters and genes."
    )
    return MarkersStatisticError(message, hint, columns=list(names))


def looking_like(what: str, names: Sequence[str]) -> list[str]:
    """Return the columns that may be of a kind, by their names.

    Parameters
    ----------
    what
        ``"a fold change"``, ``"clusters"`` or ``"genes"``.
    names
        Of the columns.

    Examples
    --------
    >>> looking_like("clusters", ["cluster_final", "p_val"])
    ['cluster_final']
    """
    return [name for name in names if _LOOKS[what].search(token_of(name))]


def _combined(
    free: Sequence[str], statistics: dict[str, tuple[str, float]]
) -> dict[str, tuple[Way, tuple[str, ...]]]:
    """Return what is made of several columns: FindConservedMarkers(), scran's scoreMarkers().

    The former has one set of columns for each group of cells, ``<group>_avg_log2FC``; the mean
    over the groups is read, and of p-values the largest. The latter has the mean logarithms (of
    base 2) of a cluster and of the others.
    """
    if "avg_log2fc" in statistics:
        return {}
    if {"self.average", "other.average"} <= set(free):
        return {"avg_log2fc": ("difference", ("self.average", "other.average"))}
    found: dict[str, list[str]] = {}
    for name in sorted(free):
        matched = _OF_GROUPS.fullmatch(name)
        if matched:
            found.setdefault(matched["what"], []).append(name)
    if "avg_log2FC" not in found:
        return {}
    ways: tuple[tuple[str, str, Way], ...] = (
        ("avg_log2fc", "avg_log2FC", "mean"),
        ("p_val_adj", "p_val_adj", "largest"),
        ("pct_1", "pct.1", "mean"),
        ("pct_2", "pct.2", "mean"),
    )
    return {
        statistic: (way, tuple(found[name]))
        for statistic, name, way in ways
        if name in found and statistic not in statistics
    }


def _given(names: Sequence[str], what: str, **columns: str | None) -> dict[str, str]:
    given = {}
    for argument, column in columns.items():
        if column is None:
            continue
        if column not in names:
            guess = nearest(column, list(names))
            message = f'{what} has no column "{column}", which `{argument}` names. '
            message += f"Its columns: {listing(tuple(names))}."
            raise InvalidOptionError(message, f'Did you mean "{guess}"?' if guess else "")
        given[argument.removesuffix("_column")] = column
    if len(set(given.values())) < len(given):
        message = f'`cluster_column` and `gene_column` both name "{given["gene"]}".'
        raise InvalidOptionError(message, "Clusters and genes must be in two columns.")
    return given


def _style(names: Sequence[str]) -> str:
    if any(n in names for n in ("logfoldchanges", "scores", "pvals_adj")):
        return "scanpy"
    return "presto" if all(n in names for n in ("feature", "logFC", "auc")) else "seurat"


def _statistics(
    names: Sequence[str], what: str, style: str, taken: set[str]
) -> dict[str, tuple[str, float]]:
    free = [n for n in names if n not in taken]
    found = {}
    for statistic, exact in STATISTICS.items():
        column = _one(statistic, free, exact, what)
        if column is not None:
            natural = statistic == "avg_log2fc" and token_of(column) == "avglogfc"
            found[statistic] = (column, LOG2_OF_NATURAL if natural else 1.0)
    roc = "myAUC" in free
    # The difference that test.use = "roc" reports is of natural logarithms in every version of
    # Seurat. Elsewhere avg_diff is a difference of scaled values (slot = "scale.data"): it ranks
    # genes, but no fold change can be had from it.
    if "avg_diff" in free and roc:
        found.setdefault("avg_log2fc", ("avg_diff", LOG2_OF_NATURAL))
    if "power" in free and roc:
        found.setdefault("score", ("power", 1.0))
    if "avg_diff" in free and not roc:
        found.setdefault("score", ("avg_diff", 1.0))
    # presto's logFC is a difference of means of log-normalised values. Elsewhere "logFC" is
    # log2 (limma, edgeR, scran), so that on its own the name says nothing. Its percentages
    # are of 0..100 even where all of them are below 1.
    if style == "presto":
        for statistic, column, factor in (
            ("avg_log2fc", "logFC", LOG2_OF_NATURAL),
            ("score", "auc", 1.0),
            ("pct_1", "pct_in", 0.01),
            ("pct_2", "pct_out", 0.01),
        ):
            if column in free:
                found[statistic] = (column, factor)
    elif "logFC" in free and any(n in free for n in _LOG2_FOR_SURE):
        found.setdefault("avg_log2fc", ("logFC", 1.0))
    for statistic, column in (
        # scran's scoreMarkers(), and the largest p-value of FindConservedMarkers().
        ("score", "mean.AUC"),
        ("score", "mean.logFC.cohen"),
        ("p_val", "max_pval"),
    ):
        if column in free:
            found.setdefault(statistic, (column, 1.0))
    return found


def _one(role: str, free: Sequence[str], exact: Sequence[str], what: str) -> str | None:
    for name in exact:
        if name in free:
            return name
    alike = [n for n in free if token_of(n) in ALIASES[role]]
    if len(alike) > 1:
        message = f"{what} has several columns that could be the {role}: {listing(alike)}."
        hint = "Rename or remove all but one of them."
        if role in ("cluster", "gene"):
            hint = f"Choose one by `{role}_column`."
        raise MarkersFormatError(message, hint, columns=list(free))
    return alike[0] if alike else None


def _two_columns(names: Sequence[str], roles: dict[str, str]) -> dict[str, str]:
    """Two columns of any name are clusters, then genes, as in the specification."""
    if not roles:
        return {"cluster": names[0], "gene": names[1]}
    other = names[1] if names[0] in roles.values() else names[0]
    return {"cluster": roles.get("cluster", other), "gene": roles.get("gene", other)}


def _not_recognised(
    names: Sequence[str], what: str, roles: dict[str, str], style: str, statistics: set[str]
) -> MarkersFormatError:
    columns = f"Its columns: {listing(tuple(names), 20)}."
    free = [n for n in names if n not in roles.values() and n not in statistics]
    message = f"{what} is in no known format. {columns}"
    hint = THE_FORMATS
    if statistics and "cluster" not in roles and style == "scanpy":
        message = f'{what} has no column "group". {columns}'
        hint = (
            "scanpy leaves it out when one group is asked for. Ask for all of them by "
            "sc.get.rank_genes_groups_df(adata, group=None), pass "
            'adata.uns["rank_genes_groups"], or add it: frame["group"] = "the cluster".'
        )
    elif statistics and "cluster" not in roles:
        message = f"{what} does not say which cluster a gene belongs to. {columns}"
        hint = (
            "FindMarkers() reports one comparison and has neither a column of clusters nor one of "
            "genes: use FindAllMarkers(), or give a named list of such tables, one for each "
            "cluster, or add the columns cluster and gene, or name the column by `cluster_column`."
        )
    elif statistics:
        message = f"{what} has no column of genes. {columns}"
        hint = (
            'Row names are not read, because R makes them unique ("CD3E.1"). FindAllMarkers() '
            "writes a column gene; add one, or name the column by `gene_column`."
        )
    options = {}
    for role, kind in (("cluster", "clusters"), ("gene", "genes")):
        alike = [] if role in roles else looking_like(kind, free)
        if alike:
            found = f"{listing(alike, 5)} may be the {kind}"
            message += f" {found[0].upper()}{found[1:]}, but such names are not read unasked."
            options[role] = alike[0]
    if not options:
        return MarkersFormatError(message, hint, columns=list(names))
    return MarkersFormatError(message, _line(options), columns=list(names))


def _line(options: dict[str, str]) -> str:
    """Return the line that names the columns."""
    python = ", ".join(f'{role}_column="{name}"' for role, name in options.items())
    in_r = ", ".join(f'{role}.column = "{name}"' for role, name in options.items())
    in_shell = " ".join(f'--{role}-column "{name}"' for role, name in options.items())
    return in_language(
        python=f"Name the columns: cellferry.read_markers(markers, {python})",
        r=f"Name the columns: ReadMarkers(markers, {in_r})",
        cli=f"Name the columns: {in_shell}",
    )
