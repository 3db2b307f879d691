"""Gene names: which kind of identifier, and what people call the species.

Which names are known symbols, and of which species, says :mod:`cellferry.biology.recognition`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from ..errors import GeneIdentifiersError, in_language, listing

IdentifierKind = Literal["symbol", "ensembl", "entrez"]
Species = Literal["human", "mouse"]


ENSEMBL = re.compile(
    r"(?P<prefix>ENS[A-Z]*G)(?P<number>\d{11})(\.\d+)?(_PAR_Y)?|FBgn\d{7}|WBGene\d{8}",
    re.IGNORECASE,
)
"""An identifier of Ensembl, of any species; a version may follow."""
ENTREZ = re.compile(r"\d+(\.0)?")
"""Whole numbers, also those that were made floats on the way."""
REFSEQ = re.compile(r"[NX][MR]_\d+")
ACCESSION = re.compile(r"(?=.{11})[A-Z0-9]+([._][A-Z0-9]+)+")
"""A long name in capitals that has parts: an identifier of some other database."""


def identifier_kind(genes: Iterable[object]) -> IdentifierKind:
    """Return what more than half of the different names are; symbols if nothing else.

    Ensembl-like are ``ENS...G`` with eleven digits (a version may follow), ``FBgn`` and
    ``WBGene``; Entrez are whole numbers.

    Examples
    --------
    >>> identifier_kind(["ENSG00000167286.9", "ENSMUSG00000032094", "CD3E"])
    'ensembl'
    """
    names = _names(genes)
    ensembl = sum(ENSEMBL.fullmatch(n) is not None for n in names)
    entrez = sum(ENTREZ.fullmatch(n) is not None for n in names)
    if 2 * ensembl > len(names):
        return "ensembl"
    return "entrez" if 2 * entrez > len(names) else "symbol"


def is_identifier(value: str) -> bool:
    """Say whether a name is like an identifier rather than a symbol.

    Examples
    --------
    >>> [is_identifier(v) for v in ("ENSG00000167286.9", "NM_0012", "672", "CD3E", "HLA-DRA")]
    [True, True, True, False, False]
    """
    text = value.strip()
    return any(p.fullmatch(text) for p in (ENSEMBL, REFSEQ, ENTREZ, ACCESSION))


def require_symbols(genes: Iterable[object], what: str) -> None:
    """Refuse genes that are mostly not symbols.

    Parameters
    ----------
    genes
        Names of genes, for example of a marker table.
    what
        What they are the genes of, for the message: "marker table".

    Raises
    ------
    GeneIdentifiersError
        They are identifiers; says how to get symbols.
    """
    names = _names(genes)
    kind = identifier_kind(names)
    if kind == "symbol":
        return
    pattern = ENSEMBL if kind == "ensembl" else ENTREZ
    found = [n for n in names if pattern.fullmatch(n)]
    title = "Ensembl" if kind == "ensembl" else "Entrez"
    message = (
        f"The genes of the {what} are {title} identifiers ({listing(found, 3)}), and gene symbols "
        "such as CD3E are needed."
    )
    hint = (
        "Seurat: read the data by symbol, Read10X(dir, gene.column = 2), and find the markers "
        "again; or set markers$gene <- symbols[markers$gene] with a vector of symbols named by "
        'identifier. scanpy: adata.var["id"] = adata.var_names; adata.var_names = '
        'adata.var["gene_symbols"].astype(str); adata.var_names_make_unique(); and rank the '
        "genes again."
    )
    raise GeneIdentifiersError(message, hint, kind=kind, examples=found[:3])


def require_names(genes: Sequence[str], what: str = "object") -> None:
    """Refuse the genes of an object that has no names for them, so that they are its row numbers.

    Parameters
    ----------
    genes
        All of the object, in its order.
    what
        What it is, for the message.

    Raises
    ------
    GeneIdentifiersError
        They are counted from 0 or 1; says how to name them.
    """
    if len(genes) < 2 or genes[0] not in {"0", "1"}:
        return
    first = int(genes[0])
    if any(name != str(i) for i, name in enumerate(genes, first)):
        return
    message = (
        f"The genes of the {what} have no names: they are numbered from {genes[0]} to {genes[-1]}, "
        "and gene symbols such as CD3E are needed."
    )
    hint = in_language(
        python='Name them: adata.var_names = adata.var["gene_symbols"].astype(str); '
        "adata.var_names_make_unique()",
        r="Name them: rownames(x) <- make.unique(SummarizedExperiment::rowData(x)$Symbol)",
        cli='Name them in Python: adata.var_names = adata.var["gene_symbols"].astype(str)',
    )
    raise GeneIdentifiersError(message, hint, kind="numbered", examples=list(genes[:3]))


def _names(genes: Iterable[object]) -> list[str]:
    return [n for n in dict.fromkeys(str(g).strip() for g in genes) if n]
