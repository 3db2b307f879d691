"""Marker tables whose clusters were named by their authors, and a key in the Cell Ontology.

They lie beside the project and are read there; nothing is copied. Where they are absent it is said.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from pathlib import Path

from cellferry.study.markers.read import read_markers
from cellferry.study.study import Clusters, Context, Study

from .dataset import Dataset


def labelled(folder: Path) -> Iterator[Dataset]:
    """Yield the tables of a folder, with what is full and what is half right for each cluster."""
    if not (folder / "key.tsv").exists():
        print(f"labelled tables: not reached ({folder})")
        return
    key = [row for row in _rows(folder / "key.tsv") if row["use"] == "yes"]
    for source in _rows(folder / "sources.tsv"):
        table, species = source["table"], source["species"]
        mine = [row for row in key if row["table"] == table]
        study = study_of(folder / "tables" / f"{table}.csv.gz", species)
        ids = {r["cluster"]: ";".join(filter(None, (r["cl_id"], r["accepted_ids"]))) for r in mine}
        yield Dataset(
            table,
            "development",
            study,
            ids,
            source["tissue"],
            "labelled tables",
            "mouse" if species == "mouse" else "human",
            {r["cluster"]: r["broad_id"] for r in mine},
            {r["cluster"]: r["partial_ids"] for r in mine},
            # All tables of one repository are one study.
            source["source"],
        )


def study_of(path: Path, species: str) -> Study:
    """Return a marker table as a study, silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        markers = read_markers(path)
    return Study(Clusters(markers.clusters), markers=markers, context=Context(None, species))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))
