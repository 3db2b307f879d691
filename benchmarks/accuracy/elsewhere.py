"""Judge the engine on tables of your own: ``python -m benchmarks.accuracy.elsewhere FOLDER...``.

A folder has marker tables as CSV files and ``gold.tsv`` without a header, one line per cluster that
its authors named: table (the file's name without ``.csv``), species (``human`` or ``mouse``),
tissue, cluster, the authors' label, its Cell Ontology term, the term's label, and the study.
Tables that nobody looked at while the engine was made say most; they are judged as they lie, and
nothing is copied.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from cellferry.biology.genes import Species
from cellferry.study.symbols import with_symbols

from .compare import METHODS, VARIANTS, interval, run, table
from .dataset import Dataset
from .labelled import study_of
from .reliability import curve

FORMS = ("tissue stated", "best 20", "best 10")


def tables(folder: Path) -> Iterator[Dataset]:
    """Yield the tables of a folder; a label without a term is not judged."""
    with (folder / "gold.tsv").open(encoding="utf-8") as file:
        lines = [line for line in csv.reader(file, delimiter="\t") if line[5].startswith("CL:")]
    for name in dict.fromkeys(line[0] for line in lines):
        mine = [line for line in lines if line[0] == name]
        species: Species = "mouse" if mine[0][1] == "mouse" else "human"
        # As a user's table is read: symbols in capitals, with dots, or out of use.
        study = with_symbols(study_of(folder / f"{name}.csv", species))
        terms = {line[3]: line[5] for line in mine}
        source = mine[0][7].partition(":")[0]
        yield Dataset(
            name, "elsewhere", study, terms, mine[0][2], "elsewhere", species, source=source
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    data = [d for folder in parser.parse_args().folder for d in tables(folder)]
    found = {name: [a for d in data for a in method(d)] for name, method in METHODS.items()}
    table(f"{len(data)} tables", found)
    for name, rows in found.items():
        low, high = interval(rows)
        print(f"  {name}: score [{low:.3f}, {high:.3f}]")
    for form in FORMS:
        changed = [VARIANTS[form](d) for d in data]
        table(form, {n: [a for d in changed for a in method(d)] for n, method in METHODS.items()})
    curve("confidence", found["local"])
    mixed = [r for d in data for r in run(d.study) if r.cluster in d.gold and r.mixed]
    print(f"\n{len(mixed)} of {len(found['local'])} clusters are flagged as mixtures")


if __name__ == "__main__":
    main()
