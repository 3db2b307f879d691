"""Check the packaged knowledge, or a table of your own: python scripts/check_knowledge.py [TABLE].

Prints what is wrong and ends with status 1 if anything is: ids and labels against the Cell
Ontology, symbols against the gene tables, parents against the ontology (unless listed in
data/knowledge_exceptions.tsv), contradictions between a type and its ancestors.
"""

from __future__ import annotations

import sys
from importlib import resources

from cellferry.biology.gene_tables import known_symbols
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.local.knowledge.base import SPECIES, Knowledge
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.knowledge.table import read_types


def exceptions() -> set[tuple[str, str]]:
    file = resources.files("cellferry") / "data" / "knowledge_exceptions.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {(row[0], row[1]) for row in rows[1:]}


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
    found = problems(knowledge)
    for line in found:
        print(line)
    answers = [t for t in knowledge.types if t.kind == "type"]
    mouse = sum("mouse" in t.positive for t in answers)
    print(f"{len(answers)} types, {mouse} of them in mouse; {len(found)} problems")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
