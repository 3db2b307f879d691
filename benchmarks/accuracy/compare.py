"""The engine beside plain counts on the same knowledge: ``python -m benchmarks.accuracy.compare``.

Every labelled set there is, as full tables and as lists of ten to two hundred genes, without
prevalences, with noise, as panels; by family and by tissue; the share that is wrong where the
surest part of the answers is taken; types that the knowledge does not have; lists of random
genes; mixtures of two clusters; the time. An answer is full (the term, one that counts as it, or
a kind of it), partial (half right: between the term and its broad term, or a kind of that), wrong
or none; the score is full and half of partial. Strict counts the full ones.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.biology.genes import Species
from cellferry.biology.lineage import levels_of
from cellferry.biology.ontology import cell_ontology
from cellferry.engines.local import Local
from cellferry.engines.local.decision import siblings
from cellferry.engines.local.knowledge.base import Knowledge
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.knowledge.types import SPECIES
from cellferry.runs.worker import Events
from cellferry.study.markers.table import Markers
from cellferry.study.study import Study

from . import baselines
from .dataset import Dataset
from .journal import Journal
from .measures import lineages, ontology_score
from .variants import (
    mixed_tables,
    names_only,
    noisy,
    only_markers,
    panel,
    random_lists,
    top,
    with_tissue,
    without_prevalence,
)

DRAWS = 1000
COVERAGES = (1.0, 0.9, 0.8)
LENGTHS = (2, 10, 50, 200)
RATIOS = (0.5, 0.8)
PANELS = (300, 500, 1000, 5000)
SURE = 0.9


@dataclass(frozen=True)
class Answer:
    """One answer to a labelled cluster.

    ``outcome`` is full, partial, wrong or none; ``sure`` is the confidence, or the score of a
    plain count; ``shared`` is :func:`.measures.ontology_score`.
    """

    dataset: str
    source: str
    kind: str
    tissue: str
    group: str
    family: str
    label: str
    outcome: str
    sure: float
    shared: float = 0.0

    @property
    def points(self) -> float:
        """1, one half or 0."""
        return {"full": 1.0, "partial": 0.5}.get(self.outcome, 0.0)


def judged(dataset: Dataset, group: str, found: str | None) -> str:
    """Return what an answer to a group is worth.

    Where the data name no broad term, it is the level of types (``data/cell_type_levels.tsv``), and
    an ancestor of the same lineage is half right as well.
    """
    if found is None:
        return "none"
    ontology = cell_ontology()
    truth = dataset.gold[group].split(";")
    above = {found, *ontology.ancestors(found)}
    if found in truth or truth[0] in above:
        return "full"
    if group in dataset.broad:
        near = dataset.near.get(group, "").split(";")
        return "partial" if dataset.broad[group] in above or found in near else "wrong"
    if levels_of(truth[0])[1] in above:
        return "partial"
    compatible = any(ontology.related(found, t) for t in truth)
    same = any(lineages(found) & lineages(t) for t in truth)
    return "partial" if compatible and same else "wrong"


def answers(dataset: Dataset, found: Iterable[tuple[str, str | None, str, float]]) -> list[Answer]:
    """Judge what a method found: group, term, label and how sure."""
    rows = []
    for group, term, label, sure in found:
        if group in dataset.gold:
            family = cell_ontology()[levels_of(dataset.gold[group].split(";")[0])[1]].label
            rows.append(
                Answer(
                    dataset.name,
                    dataset.source or dataset.name,
                    dataset.kind,
                    dataset.tissue or "",
                    group,
                    family,
                    label,
                    judged(dataset, group, term),
                    sure,
                    ontology_score(term, dataset.gold[group]),
                )
            )
    return rows


def engine(dataset: Dataset, study: Study | None = None) -> list[Answer]:
    """Ask the engine."""
    found = run(dataset.study if study is None else study)
    return answers(
        dataset,
        (
            (
                r.cluster,
                r.ontology_id if r.status == "ok" else None,
                str(r.label),
                r.confidence or 0,
            )
            for r in found
        ),
    )


def _term(row: Annotation) -> str | None:
    return row.ontology_id if row.status == "ok" else None


def run(study: Study, knowledge: Knowledge | None = None) -> Annotations:
    """Annotate with the engine, silently and without keeping anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        local = Local()
        local._table = knowledge or packaged_knowledge()
        return local.run(study, Journal(), Events())  # type: ignore[arg-type]


def counted(
    dataset: Dataset, method: Callable[[Knowledge, str, Markers, int], baselines.Count]
) -> list[Answer]:
    """Ask a plain count."""
    knowledge, markers = packaged_knowledge(), dataset.study.markers
    assert markers is not None

    def found() -> Iterable[tuple[str, str | None, str, float]]:
        for column, group in enumerate(markers.clusters):
            if group in dataset.gold:
                count = method(knowledge, dataset.species, markers, column)
                term = None if count.name is None else knowledge.ontology(count.name)[0]
                yield group, term, str(count.name), count.score

    return answers(dataset, found())


METHODS: dict[str, Callable[[Dataset], list[Answer]]] = {
    "local": engine,
    "overlap count": lambda d: counted(d, baselines.overlap),
    "hypergeometric": lambda d: counted(d, baselines.hypergeometric),
    "ScType's score": lambda d: counted(d, baselines.sctype),
}


VARIANTS: dict[str, Callable[[Dataset], Dataset]] = {
    "full table": lambda d: only_markers(d, d.study.markers),  # type: ignore[arg-type]
    "tissue stated": with_tissue,
    **{f"best {n}": (lambda d, n=n: top(d, n)) for n in (200, 50, 20, 10)},  # type: ignore[misc]
    "names of 50": lambda d: names_only(d, 50),
    "names of 10": lambda d: names_only(d, 10),
    "no prevalences": without_prevalence,
    "20 % noise": lambda d: noisy(d, 0.2),
    "50 % noise": lambda d: noisy(d, 0.5),
    **{f"panel of {n}": (lambda d, n=n: panel(d, n)) for n in PANELS},  # type: ignore[misc]
}


LEFT_OUT = ("full table", "best 20", "best 10")


def each_left_out(dataset: Dataset, data: Sequence[Dataset]) -> list[Answer]:
    """Ask the engine without the lines of knowledge that the study of a set prompted.

    What is left of it are thresholds and the confidence, which were set with all studies.
    """
    study = dataset.source or dataset.name
    with without_lines_of({d.name for d in data if (d.source or d.name) == study}):
        return engine(dataset)


@contextlib.contextmanager
def without_lines_of(tables: set[str]) -> Iterator[None]:
    """Make the engine know nothing that one of these tables prompted."""
    every = siblings.rules

    def fewer(species: Species) -> tuple[siblings.Rule, ...]:
        return tuple(r for r in every(species) if tables.isdisjoint(r.prompted_by))

    siblings.rules = fewer  # type: ignore[assignment]
    try:
        yield
    finally:
        siblings.rules = every


def totals(rows: Sequence[Answer]) -> dict[str, float]:
    """Return counts, score, strict score and wrong answers at lower coverage."""
    n = max(len(rows), 1)
    found: dict[str, float] = {"n": len(rows)}
    for outcome in ("full", "partial", "wrong", "none"):
        found[outcome] = sum(r.outcome == outcome for r in rows)
    found["score"] = sum(r.points for r in rows) / n
    found["strict"] = found["full"] / n
    found["ontology"] = sum(r.shared for r in rows) / n
    ordered = sorted(rows, key=lambda r: (r.outcome == "none", -r.sure, r.dataset, r.group))
    for coverage in COVERAGES:
        best = ordered[: round(coverage * len(ordered))]
        wrong = sum(r.outcome == "wrong" for r in best) / max(len(best), 1)
        found[f"wrong at {100 * coverage:.0f} %"] = wrong
    return found


def interval(rows: Sequence[Answer]) -> tuple[float, float]:
    """Return the 95 % interval of the score: studies are drawn, then clusters in them."""
    rng = np.random.default_rng(1)
    studies: dict[str, list[float]] = {}
    for r in rows:
        studies.setdefault(r.source, []).append(r.points)
    values = [np.array(v) for v in studies.values()]
    means = []
    for _ in range(DRAWS):
        drawn = [values[i] for i in rng.integers(len(values), size=len(values))]
        means.append(np.concatenate([rng.choice(v, len(v)) for v in drawn]).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def table(title: str, methods: dict[str, list[Answer]]) -> None:
    at = [f"wrong at {100 * c:.0f} %" for c in COVERAGES]
    columns = ["n", "full", "partial", "wrong", "none", "score", "strict", "ontology", *at]
    print(f"\n{title:26}" + "".join(f"{c:>{max(len(c), 6) + 2}}" for c in columns))
    for name, rows in methods.items():
        found = totals(rows)
        cells = (
            (f"{found[c]:.0f}" if columns.index(c) < 5 else f"{found[c]:.3f}").rjust(
                max(len(c), 6) + 2
            )
            for c in columns
        )
        print(f"{name:26}" + "".join(cells))


def unseen(data: Sequence[Dataset]) -> tuple[int, int, list[str]]:
    """Take each type that was found out of the knowledge: its clusters, those that stay honest.

    Honest is an ancestor of the truth, or Unknown.
    """
    whole = packaged_knowledge()
    total, honest, lies = 0, 0, []
    for dataset in data:
        before = {r.cluster: str(r.label) for r in run(dataset.study)}
        right = {a.group for a in engine(dataset) if a.outcome == "full"}
        for label in sorted({before[g] for g in right}):
            gone = {label} | {t.name for t in whole.types if label in whole.ancestors[t.name]}
            # Other rows of the same term are the same type.
            term = whole.by_name[label].ontology_id
            gone |= {t.name for t in whole.types if term and t.ontology_id == term}
            kept = tuple(t for t in whole.types if t.name not in gone)
            rows = {r.cluster: r for r in run(dataset.study, Knowledge(kept))}
            for group in sorted(g for g in right if before[g] == label):
                row, truth = rows[group], dataset.gold[group].split(";")
                ontology = cell_ontology()
                above = row.ontology_id in ontology.ancestors(truth[0])
                fine = (
                    row.status != "ok" or above or judged(dataset, group, row.ontology_id) == "full"
                )
                total, honest = total + 1, honest + fine
                lies += [] if fine else [f"{dataset.name}, {group}: {label} -> {row.label}"]
    return total, honest, lies


def named_at_random() -> dict[str, dict[str, float]]:
    """Of lists of random marker genes: the share that gets a name, and the surest of them."""
    figures = {}
    for species in SPECIES:
        # What users' lists are made of: genes that are markers of something.
        pool = sorted(packaged_knowledge().names_of_genes(species))
        for length in LENGTHS:
            for folds in (False, True):
                rows = list(run(random_lists(length, pool=pool, species=species, folds=folds)))
                sure = [r.confidence or 0.0 for r in rows if r.status == "ok"]
                key = f"{length} {species} genes, {'table' if folds else 'names'}"
                figures[key] = {
                    "named": len(sure) / len(rows),
                    "surest": max(sure, default=0.0),
                }
    return figures


def mixtures(data: Sequence[Dataset]) -> dict[str, float]:
    """Share of mixtures flagged, of mixtures with one sure name, and of pure clusters flagged."""
    figures: dict[str, float] = {}
    for ratio in RATIOS:
        rows = [r for d in mixed_tables(data, ratio) for r in run(d.study)]
        key = f"{100 * ratio:.0f}:{100 - 100 * ratio:.0f}"
        figures[f"{key} mixtures"] = len(rows)
        figures[f"{key} flagged"] = sum(bool(r.mixed) for r in rows) / max(len(rows), 1)
        alone = [r for r in rows if not r.mixed and (r.confidence or 0) >= SURE]
        figures[f"{key} one sure name"] = len(alone) / max(len(rows), 1)
    pure = [r for d in data for r in run(d.study) if r.cluster in d.gold]
    figures["pure clusters"] = len(pure)
    figures["pure flagged"] = sum(bool(r.mixed) for r in pure) / max(len(pure), 1)
    return figures


def main() -> None:
    from .datasets import datasets

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="only the scores, of the tables")
    parser.add_argument("--groups", action="store_true", help="print what is not full")
    options = parser.parse_args()
    report(list(datasets()), options)


def report(data: Sequence[Dataset], options: argparse.Namespace) -> None:
    """Print it all."""
    clusters = [d for d in data if d.kind in {"clusters", "labelled tables"}]
    figures: dict[str, object] = {}
    for kind in dict.fromkeys(d.kind for d in data):
        mine = [d for d in data if d.kind == kind]
        methods = {m: [a for d in mine for a in f(d)] for m, f in METHODS.items()}
        table(kind, methods)
        for name, rows in methods.items():
            low, high = interval(rows)
            print(f"  {name}: score {totals(rows)['score']:.3f} [{low:.3f}, {high:.3f}]")
        figures[kind] = {m: totals(rows) for m, rows in methods.items()}
        if options.groups:
            for a in methods["local"]:
                if a.outcome != "full":
                    print(f"  {a.outcome:8}{a.dataset:28}{a.group:32}{a.label:36}{a.sure:.2f}")
    left_out = {
        name: [a for d in clusters for a in each_left_out(change(d), clusters)]
        for name, change in VARIANTS.items()
        if name in LEFT_OUT
    }
    table("each study left out", left_out)
    figures["each study left out"] = {name: totals(rows) for name, rows in left_out.items()}
    for name, rows in left_out.items():
        low, high = interval(rows)
        print(f"  {name}: score {totals(rows)['score']:.3f} [{low:.3f}, {high:.3f}]")
    for variant, change in VARIANTS.items():
        methods = {m: [a for d in clusters for a in f(change(d))] for m, f in METHODS.items()}
        table(f"clusters, {variant}", methods)
        figures[variant] = {m: totals(rows) for m, rows in methods.items()}
        if variant == "full table":
            for what in ("family", "tissue"):
                groups = sorted({getattr(a, what) for a in methods["local"]})
                print(f"\nscore by {what:32}" + "".join(f"{m:>16}" for m in ("n", *METHODS)))
                for group in groups:
                    part = {
                        m: [a for a in r if getattr(a, what) == group] for m, r in methods.items()
                    }
                    scores = "".join(f"{totals(r)['score']:>16.3f}" for r in part.values())
                    print(f"  {group or 'none stated':39}{len(part['local']):>16}{scores}")
    if options.quick:
        return
    print("\nlists of random marker genes: share that gets a name, highest confidence")
    at_random = named_at_random()
    figures["random"] = at_random
    for name, found in at_random.items():
        print(f"  {name:32}{100 * found['named']:>6.1f} %{found['surest']:>8.2f}")
    print("\nmixtures of two clusters of different lineages")
    mixed = mixtures(clusters)
    figures["mixtures"] = mixed
    for name, value in mixed.items():
        print(f"  {name:32}{value:>8.3f}")
    total, honest, lies = unseen(clusters)
    figures["unseen"] = {"clusters": total, "honest": honest}
    print(f"\ntypes taken out of the knowledge: {honest} of {total} an ancestor or Unknown")
    if options.groups:
        print("\n".join(f"  {line}" for line in lies))
    start = time.process_time()
    for dataset in clusters:
        run(dataset.study)
    spent = time.process_time() - start
    size = sum(len(d.study.markers) for d in clusters if d.study.markers is not None)
    print(f"\n{size:,} rows, {sum(len(d.gold) for d in clusters)} clusters: {spent:.1f} s")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
