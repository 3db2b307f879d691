"""Check the packaged knowledge, or a table of your own: python scripts/check_knowledge.py [TABLE].

Prints what is wrong and ends with status 1 if anything is: ids and labels against the Cell
Ontology, symbols against the gene tables, parents against the ontology (unless listed in
data/knowledge_exceptions.tsv), contradictions between a type and its ancestors, sources, and
markers that are named like transcription factors and are not among them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Set as AbstractSet
from importlib import resources

from cellferry.biology.gene_tables import known_symbols
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.local.knowledge.base import SPECIES, Knowledge
from cellferry.engines.local.knowledge.packaged import packaged_knowledge, transcription_factors
from cellferry.engines.local.knowledge.table import read_types


def exceptions() -> set[tuple[str, str]]:
    file = resources.files("cellferry") / "data" / "knowledge_exceptions.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {(row[0], row[1]) for row in rows[1:]}


DOI = re.compile(r"doi:10\.\d{4,9}/[^\s;]+")
OF_LABELLED_TABLES = frozenset(
    {
        "10.1038/s41586-018-0590-4",  # Tabula Muris
        "10.1016/j.celrep.2024.114804",  # NBAtlas
        "10.3389/fimmu.2023.1162700",  # leukocytes of the dog
    }
)
"""No line may come from a study by which the engine is judged."""


NUMBERED = re.compile(r"([A-Za-z]+)\d+[A-Za-z]?\d*")
NO_FACTORS = frozenset({"BCL2", "BCL2L1", "BCL7A", "LDB3", "LMO7", "PEG10", "ST14"})
"""Markers that are named like transcription factors and are none."""


def sources() -> list[tuple[str, str]]:
    """Return the types of the packaged table that have a source of their own, and the source."""
    file = resources.files("cellferry") / "data" / "knowledge_sources.tsv"
    lines = [x for x in file.read_text(encoding="utf-8").splitlines() if not x.startswith("#")]
    return [(name, source) for name, _, source in (x.partition("\t") for x in lines[1:])]


def problems_of_sources(knowledge: Knowledge, given: list[tuple[str, str]]) -> list[str]:
    """Return what is wrong with the table of sources."""
    found = []
    names = [name for name, _ in given]
    found += [
        f"{n}: two lines of sources" for n in sorted({n for n in names if names.count(n) > 1})
    ]
    for name, source in given:
        if name not in knowledge.by_name:
            found.append(f"{name}: has a source and is no row")
        dois = [d.removeprefix("doi:") for d in DOI.findall(source)]
        if len(dois) != source.count(";") + 1:
            found.append(f"{name}: each source needs a DOI, as in {source!r}")
        if OF_LABELLED_TABLES & {d.casefold() for d in dois}:
            found.append(f"{name}: its source is a study by which the engine is judged")
    return found


def _family(gene: str) -> str | None:
    """Return the letters before the number of a gene: those of SOX10 are SOX."""
    named = NUMBERED.fullmatch(gene)
    return None if named is None else named[1].upper()


def problems_of_factors(markers: AbstractSet[str], factors: AbstractSet[str]) -> list[str]:
    """Return which markers are named like a transcription factor, and are not in their table."""
    families = {_family(gene) for gene in factors} - {None}
    others = sorted(g for g in markers - factors if g.upper() not in NO_FACTORS)
    return [
        f"{gene}: named like a factor, and neither in data/transcription_factors.tsv nor in "
        "NO_FACTORS of scripts/check_knowledge.py"
        for gene in others
        if _family(gene) in families
    ]


def problems(knowledge: Knowledge) -> list[str]:
    ontology, allowed, found = cell_ontology(), exceptions(), []
    for t in knowledge.types:
        if t.ontology_id:
            term = ontology.terms.get(t.ontology_id)
            if term is None or term.obsolete or term.label != t.ontology_label:
                found.append(f"{t.name}: {t.ontology_id} is not {t.ontology_label!r}")
                continue
        for name in t.parents:
            parent = knowledge.by_name[name].ontology_id
            if not t.ontology_id or not parent or (t.name, name) in allowed:
                continue
            if not ontology.is_a(t.ontology_id, parent):
                found.append(f"{t.name}: no kind of {name} in the Cell Ontology")
        for species in SPECIES:
            for markers in (t.positive, t.negative):
                for marker in markers.get(species, ()):
                    if marker.name not in known_symbols(species):
                        found.append(f"{t.name}: {marker.name} is no {species} symbol")
            defining = {m.name for m in t.positive.get(species, ()) if m.tier == 3}
            for ancestor in knowledge.ancestors[t.name]:
                against = {m.name for m in knowledge.by_name[ancestor].negative.get(species, ())}
                for gene in sorted(defining & against):
                    found.append(f"{t.name}: {gene} defines it and speaks against {ancestor}")
    return found


def main() -> None:
    knowledge = packaged_knowledge()
    if len(sys.argv) > 1:
        knowledge = knowledge.merged_with(read_types(sys.argv[1]))
    found = [*problems(knowledge), *problems_of_sources(knowledge, sources())]
    for species in SPECIES:
        markers = {m.name for t in knowledge.types for m in t.positive.get(species, ())}
        found += problems_of_factors(markers, transcription_factors(species))
    for line in found:
        print(line)
    answers = [t for t in knowledge.types if t.kind == "type"]
    mouse = sum("mouse" in t.positive for t in answers)
    print(f"{len(answers)} types, {mouse} of them in mouse; {len(found)} problems")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
