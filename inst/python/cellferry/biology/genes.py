"""Gene names: which kind of identifier, which species, and symbols where they are needed.

Names are looked at, never changed: upper-casing a mouse symbol does not make it a human
gene.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..errors import GeneIdentifiersError, listing

IdentifierKind = Literal["symbol", "ensembl", "entrez"]
Species = Literal["human", "mouse"]

ENOUGH_GENES = 5
"""Fewer genes that show a species are no evidence."""

CLEAR_MAJORITY = 0.8
"""Share of the telling genes that one species needs."""

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

# Checked in this order; the first that fits decides. None: the name shows nothing.
_TELLING: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"ENSG\d{11}(\.\d+)?(_PAR_Y)?"), "human"),
    (re.compile(r"ENSMUSG\d{11}(\.\d+)?"), "mouse"),
    (ENSEMBL, "other"),
    # Names of clones and accessions are alike in every species: AC012345.1, BC004004.
    (re.compile(r"[A-Z]{1,2}\d{5,6}(\.\d+)?"), None),
    (re.compile(r"C(\d+|X|Y)orf\d+([-A-Z0-9]*)"), "human"),
    (re.compile(r"HLA-[A-Z0-9]+"), "human"),
    (re.compile(r"H2-[A-Za-z0-9]+|mt-[A-Z]\w*|\w+Rik(\d*)|Gm\d+\w*"), "mouse"),
    (re.compile(r"RT1-\w+"), "other"),  # the major histocompatibility complex of the rat
    # Two capitals at least, because C3 and F2 are names in both species.
    (re.compile(r"(?=.*[A-Z].*[A-Z])[A-Z][A-Z0-9]*([-.][A-Z0-9]+)*(?<=...)"), "human"),
    (re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*([-.][A-Za-z0-9]+)*"), "mouse"),
    (re.compile(r"[a-z][\w.-]*"), "other"),  # as in the zebrafish
)


@dataclass(frozen=True)
class SpeciesGuess:
    """What the gene names say.

    Attributes
    ----------
    species
        ``"human"``, ``"mouse"``, or None if neither has a clear majority.
    share
        Share of the telling genes that fit ``species``, or the better of both, 0..1.
    """

    species: Species | None
    share: float


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


def detect_species(genes: Iterable[object]) -> SpeciesGuess:
    """Guess human or mouse from how the names are written.

    Human symbols are in capitals (``CD3E``, ``HLA-DRA``, but ``C1orf43``), those of the
    mouse begin with one (``Cd3e``, ``H2-Aa``, ``mt-Co1``, ``Gm1234``, ``1700001A01Rik``);
    Ensembl identifiers carry the species. A species needs 80 % of the different names
    that do, and at least five of those. Names cannot distinguish mouse from rat, nor human from
    macaque or pig, whose symbols are written alike.

    Examples
    --------
    >>> detect_species(["Cd3e", "Cd79a", "Ms4a1", "H2-Aa", "mt-Co1", "Lyz2"])
    SpeciesGuess(species='mouse', share=1.0)
    """
    found = {"human": 0, "mouse": 0, "other": 0}
    for name in _names(genes):
        species = next((s for pattern, s in _TELLING if pattern.fullmatch(name)), None)
        if species is not None:
            found[species] += 1
    total = sum(found.values())
    best: Species = "human" if found["human"] >= found["mouse"] else "mouse"
    share = found[best] / total if total else 0.0
    clear = total >= ENOUGH_GENES and share >= CLEAR_MAJORITY
    return SpeciesGuess(best if clear else None, share)


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


def _names(genes: Iterable[object]) -> list[str]:
    return [n for n in dict.fromkeys(str(g).strip() for g in genes) if n]
