"""Report how often the embedded engine is right: ``make bench-accuracy``."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cellferry.engines.local import Local
from cellferry.engines.local.knowledge import packaged_knowledge
from cellferry.errors import RunDamagedError
from cellferry.events import Events
from cellferry.study import Context, Study

from . import baselines
from .datasets import Dataset, datasets
from .measures import Outcome, reliability, summary
from .picture import draw

EDGES = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0001)
FOLDER = Path(__file__).resolve().parent


class Journal:
    """A run that keeps nothing."""

    def finished(self) -> dict[str, object]:
        return {}

    def record(self, *_args: object) -> None:
        pass

    def store(self, *_args: object) -> None:
        pass

    def load(self, name: str) -> dict[str, object]:
        raise RunDamagedError(name)


def engine_outcomes(dataset: Dataset, study: Study) -> list[Outcome]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Local().run(study, Journal(), Events())  # type: ignore[arg-type]
    rows = {row.cluster: row for row in found}
    sizes = dataset.study.clusters.counts() or {}
    return [
        Outcome(
            dataset.name,
            group,
            gold,
            rows[group].ontology_id if rows[group].status == "ok" else None,
            str(rows[group].label),
            rows[group].confidence,
            sizes.get(group, 0),
        )
        for group, gold in dataset.gold.items()
        if group in rows
    ]


def baseline_outcomes(dataset: Dataset, method: Callable[..., str | None]) -> list[Outcome]:
    knowledge, markers = packaged_knowledge(), dataset.study.markers
    assert markers is not None
    sizes = dataset.study.clusters.counts() or {}
    found = []
    for group, gold in dataset.gold.items():
        if group not in markers.clusters:
            continue
        genes = baselines.best_genes(markers, markers.clusters.index(group))
        name = method(knowledge, "human", genes)
        identifier = None if name is None else knowledge.ontology(name)[0]
        found.append(
            Outcome(dataset.name, group, gold, identifier, str(name), None, sizes.get(group, 0))
        )
    return found


def with_tissue(dataset: Dataset) -> Study:
    context = Context(dataset.tissue, "human")
    return replace(dataset.study, context=context)


METHODS: dict[str, Callable[[Dataset], list[Outcome]]] = {
    "local, object": lambda d: engine_outcomes(d, d.study),
    "local, object and tissue": lambda d: engine_outcomes(d, with_tissue(d)),
    "local, markers only": lambda d: engine_outcomes(d, d.markers_only()),
    "overlap count": lambda d: baseline_outcomes(d, baselines.overlap),
    "hypergeometric": lambda d: baseline_outcomes(d, baselines.hypergeometric),
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
                part = outcomes.setdefault(dataset.use, {}).setdefault(method, [])
                part += answer(dataset)
    figures = {}
    for use, methods in outcomes.items():
        figures[use] = {method: summary(rows) for method, rows in methods.items()}
        print(f"\n{use}: {', '.join(sorted({o.dataset for r in methods.values() for o in r}))}")
        print(f"{'':26}" + "".join(f"{c:>{max(len(c), 9) + 2}}" for c in COLUMNS))
        for method, row in figures[use].items():
            cells = (_figure(c, row[c]).rjust(max(len(c), 9) + 2) for c in COLUMNS)
            print(f"{method:26}" + "".join(cells))
        if options.groups:
            for o in methods["local, object"]:
                mark = "=" if o.full else "~" if o.compatible else "l" if o.lineage else "x"
                mark = "?" if o.found is None else mark
                print(f"  {mark} {o.dataset:18} {o.group:34} {o.label:36} {o.confidence}")
    every = [o for methods in outcomes.values() for o in methods["local, object"]]
    bins = reliability(every, EDGES)
    print("\nreliability on all data (object given): confidence, share right, answers")
    for b in bins:
        print(f"  {b['confidence']:.2f}  {b['right']:.2f}  {b['answers']:.0f}")
    if bins:
        draw(bins, FOLDER / "reliability.svg")
    if options.json:
        options.json.write_text(json.dumps({"accuracy": figures, "reliability": bins}, indent=2))


def _figure(column: str, value: float) -> str:
    if column == "groups":
        return f"{value:.0f}"
    return f"{value:.1f}" if column == "distance" else f"{100 * value:.0f} %"


if __name__ == "__main__":
    main()
