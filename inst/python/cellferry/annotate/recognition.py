"""What the user is told of the genes: how many are known, why others are not, what to do.

One check for clusters and cells, tables and objects, R, Python and the command line. It knows the
study; what a name is says :mod:`cellferry.biology.recognition`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..biology.recognition import (
    EXPECTED,
    Disguise,
    NoGene,
    Recognition,
    are_proteins,
    detect_species,
    recognise,
    species_in_capitals,
)
from ..biology.species import species_of
from ..errors import GenesUnrecognisedWarning, counted, in_language, listing, warn
from ..study.symbols import Recognised

if TYPE_CHECKING:
    from ..annotations.clusters import Level
    from ..study.study import Study

logger = logging.getLogger("cellferry")

Tell = Callable[[GenesUnrecognisedWarning], None]

SHOWN_ROWS = 6
FEWEST_OF_CLUSTER = 5
"""A cluster of fewer genes is not judged by itself."""
A_PANEL = 1000
"""A panel of antibodies has fewer features."""

_DISGUISES: dict[Disguise, str] = {
    "prefix": "with a prefix",
    "ending": "with something added at the end",
    "pair": "of a symbol and an identifier in one",
    "suffix": "with a number that made them unique",
    "separators": "with other signs where a symbol has hyphens",
    "case": "in other letters (upper or lower case)",
    "blanks": "with blanks or quotation marks",
}

_NO_GENES: dict[NoGene, str] = {
    "dates": "dates",
    "numbers": "numbers",
    "entrez": "numbers, as of Entrez",
    "peaks": "regions of a genome (peaks)",
    "proteins": "proteins (antibodies)",
    "placeholders": "placeholders",
    "transcripts": "identifiers of transcripts or proteins",
    "probes": "probes of an array or accessions",
}


def warn_of_genes(study: Study, found: Recognised, level: Level, tell: Tell = warn) -> None:
    """Warn of what is read otherwise than it is written, and of what cannot be read.

    Parameters
    ----------
    study
        As it was read: names of genes as the user has them.
    found
        What is known of its genes.
    level
        What is annotated. Of clusters the marker table counts first, of cells the object.
    tell
        Gets each warning. A server gives one that keeps them: its threads share the filters of
        :mod:`warnings`.
    """
    table, of_object = found.table, found.of_object
    if level == "cells":
        table = None
    said: set[str] = set()
    stated = species_of(study.context.species)
    names = study.genes or (() if study.markers is None else study.markers.gene.tolist())
    other = detect_species(names).species not in {None, stated}
    if stated is not None and other and species_in_capitals(names) != stated:
        # That the species is another is warned of as such.
        said.add("case")
    if of_object is not None and (table is None or _is_of_object(study)):
        said |= _warn_of(tell, of_object, "object", study, said)
    if table is not None:
        _warn_of_genes_as_clusters(tell, study)
        said |= _warn_of(tell, table, "marker table", study, said)
        _warn_of_clusters(tell, study, table)
        # Clusters are named from their table; of the object only its spelling matters then.
        said |= {"few", "dates"}
    if of_object is not None:
        _warn_of(tell, of_object, "object", study, said)


def _is_of_object(study: Study) -> bool:
    """Whether the marker table has no genes but those of the object, as if computed from it."""
    assert study.markers is not None
    return set(study.markers.gene.tolist()) <= set(study.genes or ())


def _warn_of(tell: Tell, found: Recognition, what: str, study: Study, said: set[str]) -> set[str]:
    """Warn of one of both; what was ``said`` of the other is not said again."""
    now: set[str] = set()
    few = found.is_few
    noted = {k: n for k, n in found.noted().items() if k not in said}
    if (few and "few" not in said) or (what == "object" and "few" not in said and _is_panel(study)):
        _warn_of_few(tell, found, what, study)
        now.add("few")
    if found.is_mixed and "mixed" not in said:
        _warn_of_two_species(tell, found, what)
        now.add("mixed")
    damaged = [n for k in ("dates", "numbers") for n in found.no_genes.get(k, ())]
    if damaged and "dates" not in said and not (few and found.known + found.read == 0):
        _warn_of_dates(tell, damaged, what, study)
        now.add("dates")
    if noted:
        _warn_of_disguises(tell, found, noted, what, study)
        now |= set(noted)
    rest = found.disguises.keys() - found.noted().keys() - EXPECTED - said
    for kind in sorted(rest):
        names = found.disguises[kind]
        logger.info("%s", f"Genes of the {what}: {_disguise(kind, names, found)}.")
    return said | now


def _warn_of_disguises(
    tell: Tell, found: Recognition, noted: dict[Disguise, tuple[str, ...]], what: str, study: Study
) -> None:
    names = {n for of_kind in noted.values() for n in of_kind}
    parts = "; ".join(_disguise(kind, of_kind, found) for kind, of_kind in noted.items())
    message = (
        f"{len(names)} of {counted(found.names, 'gene')} of the {what} are not written as symbols, "
        f"and the engine reads the symbol in them: {parts}."
    )
    mend = _mend(found, noted, what, study)
    hint = f"Names stay as they are in what is yours. To mend them: {mend}"
    if found.letters is not None and "case" in noted:
        other = "mouse" if found.letters == "human" else "human"
        hint += (
            f"\nThey are read as genes of {found.letters}; if they are of {other}, say "
            f"{_species(other)}."
        )
    tell(GenesUnrecognisedWarning(message, hint))


def _disguise(kind: Disguise, names: Sequence[str], found: Recognition) -> str:
    # An example that is a symbol afterwards says most.
    name = next((n for n in names if found.readings[n].upper() in n.upper()), names[0])
    words = "with the prefix of a genome" if kind == "prefix" and found.genomes else ""
    return f"{len(names)} {words or _DISGUISES[kind]} ({_quoted(name)} is {found.readings[name]})"


def _mend(
    found: Recognition, noted: dict[Disguise, tuple[str, ...]], what: str, study: Study
) -> str:
    """Return a line that makes symbols of the names, for the first of several disguises."""
    kind = next(iter(noted))
    if kind == "prefix" and found.genomes:
        # A number at the end of a pattern such as hg19 belongs to it.
        prefixes = sorted(found.genomes, key=len, reverse=True)
        pattern = f"^({'|'.join(map(_escaped, prefixes))})"
    elif kind == "prefix":
        name = noted[kind][0]
        pattern = "^" + _escaped(name[: len(name) - len(found.readings[name])])
    elif kind == "suffix" and what == "marker table":
        return (
            'take the genes from the column "gene" of FindAllMarkers(), or "names" of scanpy; row '
            "names are not genes, because R makes them unique by a number."
        )
    elif kind == "suffix":
        return "give the genes their names before they were made unique."
    elif kind == "pair":
        pattern = r"[-_|.]*ENS[A-Z]*G[0-9]{11}([.][0-9]+)?[-_|]*"
    elif kind == "blanks":
        pattern = "^[[:space:]\"']+|[[:space:]\"']+$"
    else:
        pattern = ""
    if not pattern:
        return in_language(
            python="use the symbols as they are written in the annotation that the reads were "
            "aligned to.",
            r="use the symbols as they are written in the annotation that the reads were aligned "
            "to; read.csv(check.names = FALSE) keeps hyphens.",
            cli="write the symbols as they are in the annotation that the reads were aligned to.",
        )
    in_r, in_python = json.dumps(pattern), json.dumps(pattern.replace("[:space:]", r"\s"))
    if what == "object":
        return in_language(
            python=f"adata.var_names = adata.var_names.str.replace({in_python}, '', regex=True); "
            "adata.var_names_make_unique()",
            r=f'rownames(counts) <- make.unique(sub({in_r}, "", rownames(counts))), before '
            "CreateSeuratObject(counts)",
            cli=f"adata.var_names = adata.var_names.str.replace({in_python}, '', regex=True), in "
            "Python.",
        )
    of_scanpy = study.markers is not None and study.markers.source == "scanpy"
    column = f'markers["{"names" if of_scanpy else "gene"}"]'
    line = f'{column} = {column}.str.replace({in_python}, "", regex=True)'
    return in_language(
        python=line, r=f'markers$gene <- sub({in_r}, "", markers$gene)', cli=f"{line}, in Python."
    )


def _escaped(text: str) -> str:
    """Return a pattern for a text, as R and Python understand it.

    Examples
    --------
    >>> _escaped("GRCh38.p13_")
    'GRCh38[.]p13_'
    """
    return "".join(
        c if c.isalnum() or c in "_- " else "." if c in "\\^" else f"[{c}]" for c in text
    )


def _warn_of_few(tell: Tell, found: Recognition, what: str, study: Study) -> None:
    known = found.known + found.read
    # What shows nothing, such as clones, is not among the unknown names.
    others = (g for g in (study.genes or ())[:500] if g not in found.readings)
    silent = (g for g in others if not recognise([g]).known)
    examples = listing(list(found.unknown) or list(islice(silent, 3)), 3)
    whose = f' (assay "{study.assay}")' if what == "object" and study.assay else ""
    message = (
        f"Only {known} of {counted(found.names, 'gene')} of the {what}{whose} "
        f"{'is a known symbol' if known == 1 else 'are known symbols'} of human or mouse; not "
        f"known are {examples}."
    )
    if known >= found.names:
        message = f"The features of the {what}{whose} look like proteins, not genes: {examples}."
    kinds = sorted(found.no_genes.items(), key=lambda item: -len(item[1]))
    proteins = what == "object" and study.genes is not None and are_proteins(study.genes)
    reasons = [f"{len(n)} look like {_NO_GENES[k]}" for k, n in kinds if not (proteins and known)]
    if reasons:
        message += f" {'; '.join(reasons)}."
    tell(
        GenesUnrecognisedWarning(message, _what_to_do(found, kinds[0][0] if kinds else None, study))
    )


def _what_to_do(found: Recognition, kind: NoGene | None, study: Study) -> str:
    elsewhere = _where_genes_are(study)
    if elsewhere:
        return elsewhere
    if kind == "peaks":
        return in_language(
            python="Engines read genes: compute gene activities of the peaks first.",
            r="Engines read genes: compute GeneActivity(x) with Signac, and annotate that assay.",
            cli="Engines read genes: compute gene activities of the peaks first.",
        )
    if kind == "proteins":
        return "Engines read genes: give the RNA of these cells, or markers that are genes."
    if kind in {"dates", "numbers", "entrez"}:
        return "Engines read symbols such as CD3E (human) or Cd3e (mouse). " + _FROM_BEFORE
    text = (
        "Engines read symbols such as CD3E (human) or Cd3e (mouse), so hardly any cluster or cell "
        "can be named. "
    )
    if found.genomes:
        text += f"Without the prefix {listing(list(found.genomes))} they are not known either. "
    return text + in_language(
        python='If the symbols are in a column: adata.var_names = adata.var["gene_symbols"]. '
        "Genes of another species: name them by their human or mouse orthologs.",
        r="If the symbols are elsewhere: Read10X(dir, gene.column = 2). Genes of another species: "
        "name them by their human or mouse orthologs.",
        cli="Write the symbols in their place. Genes of another species: name them by their human "
        "or mouse orthologs.",
    )


def _where_genes_are(study: Study) -> str:
    """Return where the object has genes, "" where it has none or they are in use."""
    known = {name: recognise(features) for name, features in (study.other_assays or {}).items()}
    usable = {n: k for n, k in known.items() if k.names and not k.is_few}
    usable = {n: k for n, k in usable.items() if not are_proteins((study.other_assays or {})[n])}
    if usable:
        best = max(usable, key=lambda n: (usable[n].known + usable[n].read) / usable[n].names)
        found = usable[best]
        quoted = json.dumps(best, ensure_ascii=False)
        text = (
            f'The assay "{best}" has genes: {found.known + found.read} of {found.names} looked at. '
        )
        return text + in_language(
            python=f"Use it: assay={quoted}.",
            r=f"Use it: assay = {quoted}.",
            cli=f"Make it the default: DefaultAssay(x) <- {quoted}, in R.",
        )
    var = study.var
    if var is not None and "feature_types" in var.columns:
        types = [str(t) for t in dict.fromkeys(var["feature_types"])]
        if len(types) > 1 and "Gene Expression" in types:
            line = 'adata[:, adata.var["feature_types"] == "Gene Expression"]'
            return f'var["feature_types"] has {listing(types)}: annotate {line}.copy().'
    return ""


def _is_panel(study: Study) -> bool:
    genes = study.genes or ()
    return 0 < len(genes) < A_PANEL and are_proteins(genes)


_FROM_BEFORE = "Take the table from before the spreadsheet, or import its column of genes as text."


def _warn_of_dates(tell: Tell, names: Sequence[str], what: str, study: Study) -> None:
    markers = study.markers if what == "marker table" else None
    if markers is None:
        where = listing(list(names), SHOWN_ROWS)
    else:
        rows = np.flatnonzero(np.isin(markers.gene.astype(str), list(names))).tolist()
        shown = ", ".join(
            f'row {r + 1} "{markers.gene[r]}" (cluster "{markers.clusters[markers.cluster[r]]}")'
            for r in rows[:SHOWN_ROWS]
        )
        rest = len(rows) - SHOWN_ROWS
        where = f"{shown} and {rest} more" if rest > 0 else shown
    message = (
        f"{counted(len(names), 'gene name')} of the {what} {'is' if len(names) == 1 else 'are'} "
        f"what a spreadsheet makes of symbols such as SEPT2, MARCH1 or 2310009E13Rik: {where}."
    )
    hint = f"Which gene it was cannot be known any more, so none is read. {_FROM_BEFORE}"
    tell(GenesUnrecognisedWarning(message, hint))


def _warn_of_two_species(tell: Tell, found: Recognition, what: str) -> None:
    share = found.species.share
    if len(found.genome_species) > 1:
        parts = ", ".join(f'{n} begin with "{p}"' for p, n in found.genomes.items())
        message = f"The genes of the {what} are of two genomes: {parts}."
    else:
        message = (
            f"The genes of the {what} are of two species: of those that differ between human and "
            f"mouse, at most {100 * share:.0f} % are of one."
        )
    hint = (
        "An answer is for one species: annotate the cells of each apart, and say which it is with "
        f"{_species('human')} or {_species('mouse')}."
    )
    tell(GenesUnrecognisedWarning(message, hint))


def _warn_of_clusters(tell: Tell, study: Study, found: Recognition) -> None:
    """Warn of single clusters none of whose genes is known, where the others' are."""
    markers = study.markers
    if markers is None or found.is_few or not found.unknown:
        return
    unknown = set(found.unknown)
    bad = np.fromiter((g in unknown for g in markers.gene.tolist()), bool, len(markers))
    if not bad.any():
        return
    n = len(markers.clusters)
    total = np.bincount(markers.cluster, minlength=n)
    of_bad = np.bincount(markers.cluster[bad], minlength=n)
    none = [
        markers.clusters[i]
        for i in np.flatnonzero((total >= FEWEST_OF_CLUSTER) & (of_bad == total))
    ]
    if none:
        first = markers.clusters.index(none[0])
        examples = list(dict.fromkeys(map(str, markers.gene[markers.cluster == first])))
        message = (
            f"No gene of {'cluster' if len(none) == 1 else 'the clusters'} {listing(none)} is a "
            f"known symbol of human or mouse, for example {listing(examples, 3)}."
        )
        hint = "They can't be named by the engine. The genes of the other clusters are known."
        tell(GenesUnrecognisedWarning(message, hint))


def _warn_of_genes_as_clusters(tell: Tell, study: Study) -> None:
    """Warn where the clusters of a table are genes: it has one column of genes per cluster."""
    markers = study.markers
    if markers is None or study.cells is not None or len(markers.clusters) < FEWEST_OF_CLUSTER:
        return
    of_names = recognise(markers.clusters)
    if of_names.known + of_names.read > 0.8 * of_names.names and len(markers) <= of_names.names:
        message = (
            "The clusters of the marker table are called like genes: "
            f"{listing(markers.clusters, 5)}."
        )
        hint = (
            "If each column of the table is a cluster, give lists instead: one column with the "
            "cluster and one with its genes."
        )
        tell(GenesUnrecognisedWarning(message, hint))


def _species(name: str) -> str:
    return in_language(python=f'species="{name}"', r=f'species = "{name}"', cli=f"--species {name}")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())
