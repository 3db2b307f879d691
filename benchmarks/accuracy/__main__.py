"""Report how often the embedded engine is right: ``make bench-accuracy``."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cellferry.engines.local import Local
from cellferry.engines.local.decision.confidence import features
from cellferry.engines.local.knowledge.base import Knowledge
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.runs.worker import Events
from cellferry.study.markers.table import Markers
from cellferry.study.study import Context, Study

from . import baselines
from .dataset import Dataset
from .datasets import datasets
from .journal import Journal
from .measures import Outcome, calibration_error, reliability, summary
from .picture import draw

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96, 1.0001)
FOLDER = Path(__file__).resolve().parent


def engine_outcomes(dataset: Dataset, study: Study) -> list[Outcome]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Local().run(study, Journal(), Events())  # type: ignore[arg-type]
    rows = {row.cluster: row for row in found}
    sizes = dataset.study.clusters.counts() or {}
    outcomes = []
    for group, gold in dataset.gold.items():
        if group not in rows:
            continue
        row, evidence = rows[group], found.evidence.get(group, {})
        outcomes.append(
            Outcome(
                dataset.name,
                group,
                gold,
                row.ontology_id if row.status == "ok" else None,
                str(row.label),
                row.confidence,
                sizes.get(group, 0),
                dataset.kind,
                features(evidence["fit"], evidence["margin"], mixed=bool(row.mixed))
                if evidence
                else (),
            )
        )
    return outcomes


Baseline = Callable[[Knowledge, str, Markers, int], baselines.Count]


def baseline_outcomes(dataset: Dataset, method: Baseline) -> list[Outcome]:
    knowledge, markers = packaged_knowledge(), dataset.study.markers
    assert markers is not None
    sizes = dataset.study.clusters.counts() or {}
    found = []
    for group, gold in dataset.gold.items():
        if group not in markers.clusters:
            continue
        count = method(knowledge, dataset.species, markers, markers.clusters.index(group))
        name = count.name
        term = None if name is None else knowledge.ontology(name)[0]
        cells = sizes.get(group, 0)
        found.append(Outcome(dataset.name, group, gold, term, str(name), None, cells, dataset.kind))
    return found


def with_tissue(dataset: Dataset) -> Study:
    context = Context(dataset.tissue, dataset.study.context.species)
    return replace(dataset.study, context=context)


METHODS: dict[str, Callable[[Dataset], list[Outcome]]] = {
    "local, object": lambda d: engine_outcomes(d, d.study),
    "local, object and tissue": lambda d: engine_outcomes(d, with_tissue(d)),
    "local, markers only": lambda d: engine_outcomes(d, d.markers_only()),
    "overlap count": lambda d: baseline_outcomes(d, baselines.overlap),
    "hypergeometric": lambda d: baseline_outcomes(d, baselines.hypergeometric),
    "ScType's score": lambda d: baseline_outcomes(d, baselines.sctype),
}
COLUMNS = (
    "groups",
    "full",
    "compatible",
    "lineage",
    "wrong",
    "abstained",
    "distance",
    "full, by cell",
    "compatible, by cell",
    "lineage, by cell",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", action="store_true", help="print every answer")
    parser.add_argument("--use", choices=["development", "held out"], help="only these data")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    for dataset in datasets():
        if options.use in {None, dataset.use}:
            for method, answer in METHODS.items():
                if dataset.kind != "clusters" and method == "local, markers only":
                    continue
                part = outcomes.setdefault(f"{dataset.kind}, {dataset.use}", {})
                part.setdefault(method, []).extend(answer(dataset))
    figures = {}
    for part, methods in outcomes.items():
        figures[part] = {method: summary(rows) for method, rows in methods.items()}
        print(f"\n{part}: {', '.join(sorted({o.dataset for r in methods.values() for o in r}))}")
        print(f"{'':26}" + "".join(f"{c:>{max(len(c), 9) + 2}}" for c in COLUMNS))
        for method, row in figures[part].items():
            cells = (_figure(c, row[c]).rjust(max(len(c), 9) + 2) for c in COLUMNS)
            print(f"{method:26}" + "".join(cells))
        if options.groups:
            for o in methods["local, object"]:
                mark = "=" if o.full else "~" if o.compatible else "l" if o.lineage else "x"
                mark = "?" if o.found is None else mark
                print(f"  {mark} {o.dataset:18} {o.group:34} {o.label:36} {o.confidence}")
    curves = {}
    for use in ("development", "held out"):
        every = [
            o
            for part, methods in outcomes.items()
            if part.endswith(use)
            for o in methods["local, object"]
        ]
        curves[use] = reliability(every, EDGES)
        print(f"\nreliability, {use}: confidence, share right, answers")
        for b in curves[use]:
            print(f"  {b['confidence']:.2f}  {b['right']:.2f}  {b['answers']:.0f}")
        print(f"  expected calibration error {calibration_error(every, EDGES):.3f}")
    if not options.use:
        draw(curves, FOLDER / "reliability.svg")
    if options.json:
        text = json.dumps({"accuracy": figures, "reliability": curves}, indent=2)
        options.json.write_text(text)


def _figure(column: str, value: float) -> str:
    if column == "groups":
        return f"{value:.0f}"
    return f"{value:.1f}" if column == "distance" else f"{100 * value:.0f} %"


if __name__ == "__main__":
    main()
