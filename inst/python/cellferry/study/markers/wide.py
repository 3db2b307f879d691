"""Marker tables that have columns for each cluster: of scanpy, COSG, Cell Ranger and by hand.

=====================  ======================================================================
Columns                What becomes of them
=====================  ======================================================================
``0_names, 0_scores``  Names and statistics of each cluster, also ``0_n, 0_p`` of scanpy's
                       tutorial and ``names_0``.
``Cluster 1 Log2 fold  ``differential_expression.csv`` of Cell Ranger and Loupe, one row per
change``               gene. "Cluster " is taken off the names.
``0, 1, 2``            Genes only, best first: ``pd.DataFrame(ranking["names"])``, COSG.
``cluster, 1, 2, 3``   One row per cluster, its genes in the columns.
=====================  ======================================================================
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...biology.gene_tables import known_symbols
from ...biology.genes import ENSEMBL
from ...biology.text import token_of
from .columns import ALIASES, FORMATS
from .files import Cells, Columns
from .values import MISSING_GENE, MISSING_NUMBERS, is_list

logger = logging.getLogger("cellferry")

Form = Literal["fields", "per_gene", "genes", "rows"]

SAMPLE = 50
"""Rows that are looked at."""

_FIELDS: tuple[tuple[str, str], ...] = (
    ("gene", "n|names?|genes?|markers?|symbols?"),
    ("score", "s|scores?"),
    ("avg_log2fc", "l|lfcs?|logfoldchanges?|log2fc|avg_log2fc|log2foldchange"),
    ("p_val", "p|pvals?|p_val|pvalue"),
    ("p_val_adj", "pvals_adj|padj|p_val_adj|p_adj|pval_adj|fdr"),
    ("pct_1", r"pts|pct|pct_1|pct\.1"),
    ("pct_2", r"pts_rest|pct_2|pct\.2"),
)
_ANY = "|".join(f"(?P<{field}>{names})" for field, names in _FIELDS)
_AFTER = re.compile(rf"(?P<cluster>.+?)[_.:| ](?:{_ANY})", re.IGNORECASE)
_BEFORE = re.compile(rf"(?:{_ANY})[_.:| ](?P<cluster>.+)", re.IGNORECASE)
_PER_GENE = re.compile(
    r"(?P<cluster>.+?)[ _.]+(?:(?P<avg_log2fc>log2[ _.]?fold[ _.]?change)"
    r"|(?P<p_val_adj>adjusted[ _.]p[ _.]value|p[-_. ]value)"
    r"|(?P<other>mean[ _.](?:umi[ _.])?counts|average|median[ _.].*))",
    re.IGNORECASE,
)
_GENE_NAMES = ("featurename", "genename", "genesymbol", "symbol", "gene", "featureid", "geneid")
_GENE = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.:/()@-]*")
_NUMBER = re.compile(r"\d+(\.0)?")
_KNOWN = 0.5
"""Least share of a column's values that are known genes, if nothing else says that it has any."""


@dataclass(frozen=True)
class Wide:
    """How a wide table is read.

    Attributes
    ----------
    form
        ``fields``: genes and statistics of each cluster; ``per_gene``: one row per gene;
        ``genes``: a column of genes for each cluster; ``rows``: a row of genes for each.
    clusters
        Cluster -> field -> column.
    gene
        The column of genes of ``per_gene``; that of the clusters of ``rows``.
    """

    form: Form
    clusters: dict[str, dict[str, str]]
    gene: str = ""

    @property
    def numeric(self) -> frozenset[str]:
        """Names of the columns of numbers."""
        return frozenset(
            column
            for fields in self.clusters.values()
            for field, column in fields.items()
            if field != "gene"
        )

    @property
    def used(self) -> frozenset[str]:
        """Names of all columns that are read."""
        columns = {column for fields in self.clusters.values() for column in fields.values()}
        return frozenset(columns | ({self.gene} if self.gene else set()))


def find_wide(names: Sequence[str], head: Mapping[str, Sequence[object]]) -> Wide | None:
    """Return how a table that has columns for each cluster is read; None for any other.

    Parameters
    ----------
    names
        Names of the columns, in order.
    head
        Name -> the first values, some 50.

    Examples
    --------
    >>> found = find_wide(["0", "1"], {"0": ["CD3D", "CD3E"], "1": ["LYZ", "CD14"]})
    >>> found.form, list(found.clusters)
    ('genes', ['0', '1'])
    >>> find_wide(["cluster", "gene"], {"cluster": ["0"], "gene": ["CD3D"]}) is None
    True
    """
    if any(all(column in names for column in pair) for pair in FORMATS.values()):
        return None
    return (
        _per_gene(names)
        or _by_fields(names, head, _AFTER)
        or _by_fields(names, head, _BEFORE)
        or _by_genes(names, head)
        or _by_rows(names, head)
    )


def _per_gene(names: Sequence[str]) -> Wide | None:
    found: dict[str, dict[str, str]] = {}
    for name in names:
        matched = _PER_GENE.fullmatch(name.strip())
        if matched:
            found.setdefault(matched["cluster"], {})
            for field in ("avg_log2fc", "p_val_adj"):
                if matched[field]:
                    found[matched["cluster"]][field] = name
    found = {cluster: fields for cluster, fields in found.items() if "avg_log2fc" in fields}
    tokens = {token_of(name): name for name in reversed(names)}
    gene = next((tokens[token] for token in _GENE_NAMES if token in tokens), None)
    if not found or gene is None:
        return None
    plain = [re.sub(r"^cluster[ _.]+", "", cluster, flags=re.IGNORECASE) for cluster in found]
    short = all(plain) and len(set(plain)) == len(plain)
    clusters = dict(zip(plain if short else list(found), found.values(), strict=True))
    return Wide("per_gene", clusters, gene)


def _by_fields(
    names: Sequence[str], head: Mapping[str, Sequence[object]], pattern: re.Pattern[str]
) -> Wide | None:
    if any(token_of(name) in ALIASES["cluster"] for name in names):
        return None
    found: dict[str, dict[str, str]] = {}
    for name in names:
        matched = pattern.fullmatch(name.strip())
        if matched is None:
            continue
        field = next(field for field, _ in _FIELDS if matched[field])
        if pattern is _BEFORE and len(matched[field]) == 1:
            return None
        if field in found.setdefault(matched["cluster"], {}):
            return None
        found[matched["cluster"]][field] = name
    with_genes = {c: fields for c, fields in found.items() if "gene" in fields}
    if not with_genes or len(with_genes) < len(found):
        return None
    if not all(_are_names(head[fields["gene"]]) for fields in with_genes.values()):
        return None
    # A single one could be anything, such as "marker_genes" beside "marker_score".
    return None if len(with_genes) == 1 else Wide("fields", with_genes)


def _by_genes(names: Sequence[str], head: Mapping[str, Sequence[object]]) -> Wide | None:
    if any(token_of(name) in aliases for name in names for aliases in ALIASES.values()):
        return None
    # The rank itself, under a name.
    columns = [
        n for n in names if not (token_of(n) in {"rank", "index", "top"} and _count(head[n]))
    ]
    texts = [_texts(head[name]) for name in columns]
    if len(columns) < 2 or not all(_are_names(head[name]) for name in columns):
        return None
    if not any(texts) or any(len(set(part)) < len(part) for part in texts):
        return None  # a ranking has each gene once
    numbered = all(_NUMBER.fullmatch(name.strip()) for name in columns)
    there = [part for part in texts if part]
    if numbered or all(known_share(part) >= _KNOWN for part in there):
        return Wide("genes", {name.strip(): {"gene": name} for name in columns})
    return None


def _by_rows(names: Sequence[str], head: Mapping[str, Sequence[object]]) -> Wide | None:
    clusters = [name for name in names if token_of(name) in ALIASES["cluster"]]
    others = [name for name in names if name not in clusters]
    if len(clusters) != 1 or len(others) < 2:
        return None
    labels = _texts(head[clusters[0]])
    if len(set(labels)) < len(labels) or not all(_are_names(head[name]) for name in others):
        return None
    genes = [text for name in others for text in _texts(head[name])]
    if not genes or known_share(genes) < _KNOWN:
        return None
    return Wide("rows", {name: {"gene": name} for name in others}, clusters[0])


def known_share(texts: Sequence[str]) -> float:
    """Return the share of texts that are symbols of human or mouse, or ids of Ensembl.

    Examples
    --------
    >>> known_share(["CD3D", "T cell"])
    0.5
    """
    known = known_symbols("human") | known_symbols("mouse")
    fits = [text in known or ENSEMBL.fullmatch(text) is not None for text in texts]
    return sum(fits) / len(fits) if fits else 0.0


def _texts(values: Sequence[object]) -> list[str]:
    texts = [str(value).strip() for value in values if value is not None and value == value]  # noqa: PLR0124
    return [t for t in texts if t != MISSING_GENE and t.lower() not in MISSING_NUMBERS - {"nan"}]


def _are_names(values: Sequence[object]) -> bool:
    """Whether all values may be the names of genes, one in each."""
    if any(is_list(value) for value in values if isinstance(value, str)):
        return False
    return all(_GENE.fullmatch(text) is not None for text in _texts(values))


def _count(values: Sequence[object]) -> bool:
    return all(_NUMBER.fullmatch(text) for text in _texts(values))


def head_of(columns: Columns) -> dict[str, Sequence[object]]:
    """Return the first values of each column.

    Parameters
    ----------
    columns
        Of the whole table.
    """
    return {name: _first(values) for name, values in columns.values.items()}


def _first(values: Cells) -> Sequence[object]:
    some: Sequence[object] = (
        values[:SAMPLE] if isinstance(values, Sequence) else (values[:SAMPLE].tolist())
    )
    return some
