"""Compare the knowledge with a marker collection: python scripts/check_coverage.py [FILE].

FILE has the columns tissue, cell_type, gene (default: the MIT-licensed scMayoMap collection beside
the project, where it is there). Reports which of its types have no counterpart here by name, and
what the engine answers when the genes of a type are given as the list of a cluster. The collection
is read, never copied.
"""

from __future__ import annotations

import csv
import gzip
import sys
import warnings
from pathlib import Path

from cellferry.biology.ontology import cell_ontology
from cellferry.biology.text import normalized
from cellferry.engines.local import Local
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.errors import RunDamagedError
from cellferry.runs.worker import Events
from cellferry.study.markers.read import read_markers
from cellferry.study.study import Clusters, Context, Study

DEFAULT = Path("/work/shared/data/scmayomap_markers.tsv.gz")


class Journal:
    def finished(self) -> dict[str, object]:
        return {}

    def record(self, *_args: object) -> None:
        pass

    store = record

    def load(self, name: str) -> dict[str, object]:
        raise RunDamagedError(name)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not path.exists():
        print(f"{path} is not there; nothing to compare with.")
        return
    sets: dict[str, dict[str, list[str]]] = {}
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            sets.setdefault(row["tissue"], {}).setdefault(row["cell_type"], []).append(row["gene"])
    knowledge, ontology = packaged_knowledge(), cell_ontology()
    names = {normalized(n) for t in knowledge.types for n in (t.name, t.ontology_label or "")}
    ids = {t.ontology_id for t in knowledge.types}
    types = {name for tissue in sets.values() for name in tissue}

    def known(name: str) -> bool:
        match = ontology.find(name)
        return normalized(name) in names or (match is not None and match.term.id in ids)

    missing = sorted(name for name in types if not known(name))
    print(f"{len(types) - len(missing)} of {len(types)} types have a counterpart by name.")
    print("Without:", "; ".join(missing))
    same = related = unknown = total = 0
    for tissue, lists in sorted(sets.items()):
        study = Study(
            Clusters(tuple(lists)), markers=read_markers(lists), context=Context(tissue, "human")
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = Local().run(study, Journal(), Events())  # type: ignore[arg-type]
        for row in found:
            total += 1
            match = ontology.find(row.cluster)
            unknown += row.status == "unknown"
            if match is None or row.ontology_id is None:
                continue
            same += match.term.id == row.ontology_id
            related += ontology.related(match.term.id, row.ontology_id)
    print(f"Lists as clusters: {total}; same term {same}, related {related}, unknown {unknown}.")


if __name__ == "__main__":
    main()
